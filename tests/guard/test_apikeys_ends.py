"""How API keys end: revoked, expired, unused, leaked, or with their owner; and that their tokens end with them."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Missing
from sluicegate.base.principal import Role
from sluicegate.crypto.apikey import new_key
from sluicegate.guard.revocation import Revocation
from sluicegate.store.apikeys import family
from sluicegate.store.database import Database
from sluicegate.store.scope import System
from tests.guard.apikeys import code, key_for, later


@pytest.fixture
def admin(place):
    return place.token(Role.ADMINISTRATOR)


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T09")
def test_a_revoked_key_is_over_at_once_and_so_are_its_tokens_on_every_node(place, admin):
    made = key_for(place, admin)
    token, other = place.exchange(made.key), place.exchange(key_for(place, admin).key)
    database = Database(place.settings.store_url)
    node = Revocation(System(database))
    node.open()
    try:
        assert code(place, "run.list", {}, token) == "ok"
        place.call("key.revoke", {"id": made.id}, admin)
        assert code(place, "run.list", {}, token) == "unauthenticated"
        assert code(place, "session.key", {"key": made.key}, None) == "unauthenticated"
        assert code(place, "run.list", {}, other) == "ok"
        wait = threading.Event()
        for _ in range(20):
            if family(made.id) in node._over:
                break
            wait.wait(0.1)
        assert family(made.id) in node._over
    finally:
        node.close()
        database.close()


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_node_that_has_never_heard_of_a_key_finds_it_ended(place, admin):
    made = key_for(place, admin)
    token = place.exchange(made.key)
    keys = place.app.services.keys
    place.scope("north").api_keys().end(made.id, "revoked")
    keys._known.clear()
    place.app.services.revocation.pull()
    place.app.services.revocation._over.clear()  # as after a restart, when the mark has been purged
    assert code(place, "run.list", {}, token) == "unauthenticated"


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_who_may_revoke(place, admin):
    mine = place.new_key(place.people["north", Role.VIEWER], ["flow:read"])
    theirs = key_for(place, admin)
    viewer = place.token(Role.VIEWER)
    with pytest.raises(Missing, match="no such key"):
        place.call("key.revoke", {"id": theirs.id}, viewer)
    assert [each.id for each in place.call("key.list", {}, viewer).items if each.id == theirs.id] == []
    assert place.call("key.list", {"user": place.people["north", Role.EDITOR].id}, viewer).items == ()
    assert place.exchange(theirs.key)
    place.call("key.revoke", {"id": mine.id}, viewer)
    place.call("key.revoke", {"id": mine.id}, admin)  # a second time changes nothing
    place.call("key.revoke", {"id": theirs.id}, admin)
    states = {each.id: each.state for each in place.call("key.list", {}, admin).items}
    assert (states[mine.id], states[theirs.id]) == ("revoked", "revoked")


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T09")
@pytest.mark.parametrize("change", ["deactivate", "role"])
def test_a_key_ends_with_its_owners_rights(place, admin, change):
    made = key_for(place, admin, "editor", ("flow:read",))
    user = next(each.user for each in place.call("key.list", {}, admin).items if each.id == made.id)
    token = place.exchange(made.key)
    if change == "deactivate":
        place.call("user.deactivate", {"id": user}, admin)
    else:
        place.scope("north").people().set_role(user, Role.VIEWER)
    assert code(place, "flow.list", {}, token) == "unauthenticated"
    assert code(place, "session.key", {"key": made.key}, None) == "unauthenticated"
    why = {"deactivate": "owner disabled", "role": "role changed"}[change]
    assert place.scope("north").api_keys().get(made.id).ended_why == why


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_no_key_works_in_a_suspended_tenant(fresh):
    made = key_for(fresh, fresh.token(Role.ADMINISTRATOR))
    fresh.app.services.system.tenants().set_state(fresh.tenants["north"], "suspended")
    assert code(fresh, "session.key", {"key": made.key}, None) == "unauthenticated"
    fresh.app.services.system.tenants().set_state(fresh.tenants["north"], "active")
    assert fresh.exchange(made.key)


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_an_expired_key_is_over_even_while_its_token_is_not(fresh):
    made = key_for(fresh, fresh.token(Role.ADMINISTRATOR), days=1)
    token = fresh.exchange(made.key)
    with later(fresh, 0.99):
        assert code(fresh, "run.list", {}, token) == "ok"
    with later(fresh, 1.01):
        assert code(fresh, "run.list", {}, token) == "unauthenticated"
        assert code(fresh, "session.key", {"key": made.key}, None) == "unauthenticated"
        assert fresh.records()[-1]["about"]["why"] == "expired"


@pytest.mark.security
@pytest.mark.req("SEC-K04")
@pytest.mark.parametrize("how", ["exchange", "sweep"])
def test_a_key_that_is_not_used_for_90_days_ends(fresh, how):
    admin = fresh.token(Role.ADMINISTRATOR)
    idle, used = key_for(fresh, admin, days=300), key_for(fresh, admin, days=300)
    with later(fresh, 80):
        fresh.exchange(used.key)
        fresh.app.services.keys.sweep()
        assert fresh.exchange(idle.key)
    before = fresh.head()
    with later(fresh, 165):
        fresh.exchange(used.key)
    with later(fresh, 171):
        if how == "exchange":
            assert code(fresh, "session.key", {"key": idle.key}, None) == "unauthenticated"
        else:
            fresh.app.services.revocation.on_hour()
        assert fresh.exchange(used.key)
        told = [each for each in fresh.records(after=before) if each["action"] == "key.unused"]
        assert [each["about"]["id"] for each in told] == [idle.id]
    assert code(fresh, "session.key", {"key": idle.key}, None) == "unauthenticated", "it does not come back"
    assert fresh.scope("north").api_keys().get(idle.id).ended_why == "unused"


@pytest.mark.security
@pytest.mark.req("SEC-K02")
def test_a_leaked_key_is_ended_by_whoever_finds_it_and_its_owner_is_told(place, admin):
    made = key_for(place, admin)
    token, before, system = place.exchange(made.key), place.head(), place.head(None)
    answers = {
        place.call("key.leaked", {"key": text}, None, "10.96.0.1").model_dump_json()
        for text in (made.key, made.key, new_key(made.id).reveal(), "noise")
    }
    assert answers == {"{}"}
    assert code(place, "run.list", {}, token) == "unauthenticated"
    assert code(place, "session.key", {"key": made.key}, None) == "unauthenticated"
    (told,) = [each for each in place.records(after=before) if each["action"] == "key.leaked"]
    key = place.scope("north").api_keys().get(made.id)
    assert (told["result"], told["address"]) == ("ok", "10.96.0.1")
    assert told["about"] == {"id": made.id, "name": "a-key", "user": key.user}
    assert key.ended_why == "leaked"
    assert place.head(None) == system
    assert made.key not in str(place.records())
