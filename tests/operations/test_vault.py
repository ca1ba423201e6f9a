"""How the keys stand, and replacing them, through the gate."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_an_administrator_sees_and_replaces_the_key(fresh):
    token, vault, scope = fresh.token(Role.ADMINISTRATOR), fresh.app.services.vault, fresh.scope("north")
    found = fresh.call("vault.get", {}, token)
    assert (found.key, found.made, found.secrets, found.waiting) == (0, None, 0, 0)
    vault.put(scope, "a", Secret("x"))
    assert fresh.call("vault.rotate", {}, token).key == 2
    found = fresh.call("vault.get", {}, token)
    assert (found.key, found.secrets, found.waiting) == (2, 0, 1)
    assert found.public.startswith("-----BEGIN PUBLIC KEY-----")
    with pytest.raises(Conflict):
        fresh.call("vault.rotate", {}, token)
    fresh.app.services.rotation.sweep()
    found = fresh.call("vault.get", {}, token)
    assert (found.key, found.secrets, found.waiting) == (2, 1, 0)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_the_key_above_the_tenants_is_the_superadmins_to_replace(fresh):
    assert fresh.call("system.rekey", {}, fresh.token(Role.SUPERADMIN)).key == 2
