"""How the keys stand, and replacing them, through the gate."""

from __future__ import annotations

import shutil
import sqlite3

import pytest

from sluicegate.app import adopt_keyring, build
from sluicegate.base.errors import Conflict, Corrupt, Invalid
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.guard.sealfile import KEY_FILE, SealFile


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


@pytest.mark.security
@pytest.mark.req("SEC-V05")
@pytest.mark.parametrize("shut", [False, True])
def test_yesterdays_copy_of_the_store_opens_no_more_when_that_is_asked_for(fresh, shut):
    """With the old root key it must not open today's store, nor with today's keys the copy, nor with both rings."""
    services, scope = fresh.app.services, fresh.scope("north")
    services.vault.put(scope, "word", Secret("kept"))
    services.sealing.tend()
    old_root, root = (fresh.home / KEY_FILE).read_bytes(), services.sealing.standing().root
    yesterday = fresh.home / "yesterday.db"
    with sqlite3.connect(fresh.home / "store.db") as link:
        link.execute("vacuum into ?", (str(yesterday),))
    link.close()
    assert fresh.call("system.rekey", {"shut_backups": shut}, fresh.token(Role.SUPERADMIN)).key == 2
    if shut:
        services.sealing.renew()
        root = services.sealing.standing().root
        services.sealing.tend()
        assert services.sealing.standing().root == root, "not before the old key is left"
    services.rotation.sweep()
    services.rotation.on_done()
    assert (services.sealing.standing().root == root) is not shut
    assert services.vault.use(scope, "word", purpose="a test").reveal() == "kept"
    fresh.app.services.system.database.close()

    def opened(store, key=None):
        home = fresh.home.with_name(f"{fresh.home.name}-{store.stem}-{key is None}")
        shutil.copytree(fresh.home, home)
        for each in home.glob("store.db*"):
            each.unlink()
        shutil.copyfile(store, home / "store.db")
        if key:
            (home / KEY_FILE).write_bytes(key)
        return fresh.settings.model_copy(update={"home": home})

    def word(settings):
        app = build(settings)
        try:
            return app.services.vault.use(
                app.services.scope(scope.tenant, scope.who), "word", purpose="a test"
            ).reveal()
        finally:
            app.services.system.database.close()

    if not shut:
        assert word(opened(yesterday)) == "kept", "the root key is the same"
        return
    for settings in (opened(yesterday), opened(fresh.home / "store.db", old_root)):
        with pytest.raises(Invalid, match="does not open this store"):
            build(settings)
    adopted = opened(yesterday, (fresh.home / KEY_FILE).read_bytes())
    assert adopt_keyring(adopted, ()) == root_of(fresh)
    with pytest.raises(Corrupt):
        word(adopted)


def root_of(fresh):
    return SealFile(fresh.home).read()["root"]
