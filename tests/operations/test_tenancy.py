"""A tenant's policy, shown and set."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Unauthenticated
from sluicegate.base.principal import Role


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_everybody_sees_it_and_administrators_set_it(fresh):
    assert fresh.call("policy.get", {}, fresh.token(Role.VIEWER)).factor_required is False
    with pytest.raises(Denied):
        fresh.call("policy.set", {"factor_required": True}, fresh.token(Role.EDITOR))
    assert fresh.call("policy.set", {"factor_required": True}, fresh.token(Role.ADMINISTRATOR)).factor_required is True
    assert fresh.call("policy.get", {}, fresh.token(Role.VIEWER, "south")).factor_required is False


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_new_policy_holds_at_once_and_the_same_again_ends_nothing(fresh):
    viewer, admin = fresh.token(Role.VIEWER), fresh.token(Role.ADMINISTRATOR)
    fresh.call("policy.set", {"factor_required": False}, admin)
    assert fresh.call("session.whoami", {}, viewer)
    fresh.call("policy.set", {"factor_required": True}, admin)
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, viewer)
