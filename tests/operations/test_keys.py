"""What is told of API keys, and what a caller may say of them."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, Missing, Unauthenticated
from sluicegate.base.principal import Role

ASK = {"name": "nightly", "scopes": ["flow:read"]}


@pytest.fixture
def editor(fresh):
    return fresh.token(Role.EDITOR)


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-K04")
def test_a_list_tells_what_a_key_may_and_how_it_was_used_and_not_the_key(fresh, editor):
    made = fresh.call("key.create", {**ASK, "days": 7, "addresses": ["10.0.0.0/8"]}, editor)
    (before,) = fresh.call("key.list", {}, editor).items
    assert (before.id, before.state, before.scopes, before.addresses) == (
        made.id, "active", ("flow:read",), ("10.0.0.0/8",)
    )  # fmt: skip
    assert (before.uses, before.last_used) == (0, None)
    assert made.key not in before.model_dump_json()
    fresh.call("session.key", {"key": made.key}, peer="10.1.2.3")
    (after,) = fresh.call("key.list", {}, editor).items
    assert (after.uses, after.last_address) == (1, "10.1.2.3")


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_revoked_key_opens_nothing_and_stays_in_the_list(fresh, editor):
    made = fresh.call("key.create", ASK, editor)
    fresh.call("key.revoke", {"id": made.id}, editor)
    with pytest.raises(Unauthenticated):
        fresh.call("session.key", {"key": made.key})
    (shown,) = fresh.call("key.list", {}, editor).items
    assert shown.state != "active"


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_a_key_of_somebody_else_is_missing(fresh, editor):
    made = fresh.call("key.create", ASK, editor)
    for role, tenant in ((Role.OPERATOR, "north"), (Role.ADMINISTRATOR, "south")):
        with pytest.raises(Missing):
            fresh.call("key.revoke", {"id": made.id}, fresh.token(role, tenant))
    assert fresh.call("session.key", {"key": made.key}).access


@pytest.mark.parametrize(
    "more", [{"scopes": []}, {"scopes": ["all"]}, {"days": 0}, {"days": 4000}, {"addresses": ["10.0.0.1/8x"]}, {"name": "Not A Name"}]
)  # fmt: skip
def test_what_a_key_cannot_be_is_refused(fresh, editor, more):
    with pytest.raises(Invalid, match=next(iter(more))):
        fresh.call("key.create", {**ASK, **more}, editor)
    assert fresh.call("key.list", {}, editor).items == ()
