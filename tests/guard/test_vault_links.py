"""Secrets that are kept elsewhere, as the vault holds them: sealed, bound, rotated like values, never taken for one."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from sluicegate.base.errors import Corrupt
from sluicegate.base.secret import Secret
from sluicegate.guard.vault import Link
from sluicegate.kit.reference import Reference
from sluicegate.store.tables import secrets
from tests.fixtures.server import fresh

__all__ = ["fresh"]
LINK = Link(Reference("bao", "shop/warehouse", "3", "password"), "a-digest")


def test_a_link_comes_back_and_is_on_record_before(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    assert vault.link(scope, "l", LINK) == 1
    before = fresh.head()
    found = vault.find(scope, "l", purpose="a test")
    assert (found.reference, found.source, found.version) == (LINK.reference, "a-digest", 1)
    about = {"name": "l", "purpose": "a test", "source": "bao:shop/warehouse?version=3#password"}
    assert [each["about"] for each in fresh.records(after=before)] == [about]
    vault.put(scope, "l", Secret("a value"))
    assert vault.use(scope, "l", purpose="a test").reveal() == "a value"


@pytest.mark.security
@pytest.mark.req("SEC-V03", "SEC-V12")
def test_a_link_is_no_value_and_a_value_no_link(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    vault.link(scope, "l", LINK)
    vault.put(scope, "v", Secret('["bao:shop/warehouse#password", "a-digest"]'))
    with pytest.raises(Corrupt):
        vault.use(scope, "l", purpose="a test")
    for name, reference in (("l", ""), ("v", "bao:shop/warehouse#password"), ("l", "bao:other#password")):
        with scope.writing() as connection:
            connection.execute(update(secrets).where(secrets.c.name == name).values(reference=reference))
        with pytest.raises(Corrupt):
            vault.find(scope, name, purpose="a test")


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_new_key_takes_links_over_too(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    vault.link(scope, "l", LINK)
    vault.renew(scope)
    vault.rewrap(scope)
    assert len(vault.retire(scope)) == 1
    assert vault.find(scope, "l", purpose="a test").reference == LINK.reference
