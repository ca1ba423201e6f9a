"""A tenant's policy: strict, and never guessed."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.principal import Role
from sluicegate.guard.tenancy import Policy, policy_of


@pytest.mark.security
@pytest.mark.parametrize("stored", [{"factor_required": "no"}, {"factor_required": 1}, {"unknown": True}])
def test_a_stored_policy_that_is_none_is_not_read_as_one(fresh, stored):
    tenants = fresh.app.services.system.tenants()
    tenants.set_policy(fresh.tenants["north"], stored)
    with pytest.raises(Corrupt) as told:
        policy_of(tenants.get(fresh.tenants["north"]))
    assert told.value.where == "tenant north"


def test_a_tenant_without_one_asks_for_nothing(fresh):
    assert policy_of(fresh.app.services.system.tenants().get(fresh.tenants["north"])) == Policy()


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize("value", ["true", 1, None, []])
def test_a_policy_is_set_as_it_is_meant(fresh, value):
    token = fresh.token(Role.ADMINISTRATOR)
    with pytest.raises(Invalid, match="factor_required"):
        fresh.call("policy.set", {"factor_required": value}, token)
    assert fresh.call("policy.get", {}, token) == Policy()
