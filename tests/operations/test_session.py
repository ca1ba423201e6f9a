from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Peer, Role
from sluicegate.base.secret import Secret
from sluicegate.guard import policy
from sluicegate.store.people import UserState
from tests.fixtures.server import PASSWORD, address

NEW = "nine grey herons at dusk"


@pytest.fixture
def somebody(place):
    """Give a user of this test alone."""
    return place.add("north", Role.EDITOR, f"{new_id()}@north.example")


def test_signing_in_gives_two_tokens_and_how_long_they_last(place, somebody):
    got = place.sign_in(somebody)
    assert 0 <= place.settings.tokens.access - got["expires_in"] <= 1
    assert got["access"].count(".") == 2
    assert got["refresh"].startswith("rt_")
    assert got["must_change"] is False


@pytest.mark.parametrize("role", [each for each in Role if each is not Role.SUPERADMIN])
def test_whoami_says_who_and_what_they_may_do(place, role):
    who = place.people["north", role]
    got = place.call("session.whoami", {}, place.token(role))
    assert (got.id, got.email, got.role) == (who.id, who.email, role.value)
    assert (got.tenant, got.tenant_name) == (place.tenants["north"], "north")
    assert set(got.permissions) == {each.value for each in policy.GRANTS[role]}
    assert list(got.permissions) == sorted(got.permissions)


def test_a_superadmin_is_nowhere_until_they_choose(place):
    outside = place.call("session.whoami", {}, place.token(Role.SUPERADMIN, None))
    inside = place.call("session.whoami", {}, place.token(Role.SUPERADMIN, "south"))
    assert (outside.tenant, outside.tenant_name) == (None, None)
    assert (inside.tenant, inside.tenant_name) == (place.tenants["south"], "south")
    assert outside.id == inside.id


def test_the_address_is_taken_however_it_is_written(place, somebody):
    assert place.sign_in(somebody._replace(email=somebody.email.upper()))["access"]


def test_the_tenant_may_be_left_out_when_there_is_one_only(place, somebody):
    token = place.sign_in(somebody._replace(tenant=None))["access"]
    assert place.call("session.whoami", {}, token).tenant_name == "north"


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_an_address_in_two_tenants_needs_the_tenant_and_the_refusal_does_not_tell(place):
    ones = [place.add(tenant, Role.VIEWER, "both@example.org") for tenant in ("north", "south")]
    for one in ones:
        assert place.call("session.whoami", {}, place.sign_in(one)["access"]).id == one.id
    with pytest.raises(Unauthenticated) as vague:
        place.sign_in(ones[0]._replace(tenant=None))
    with pytest.raises(Unauthenticated) as wrong:
        place.sign_in(ones[0], "not the password at all")
    assert str(vague.value) == str(wrong.value)


@pytest.mark.security
@pytest.mark.req("SEC-A07")
@pytest.mark.parametrize("tenant", ["none", "NORTH", "", "../north"])
def test_an_unknown_tenant_is_refused_like_a_wrong_password(place, somebody, tenant):
    with pytest.raises(Unauthenticated, match="Wrong tenant, email or password"):
        place.sign_in(somebody._replace(tenant=tenant or "-"))


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_after_signing_out_both_tokens_are_dead(place, somebody):
    got = place.sign_in(somebody)
    place.call("session.logout", {"refresh": got["refresh"]}, got["access"])
    with pytest.raises(Unauthenticated, match="Sign in again"):
        place.call("session.refresh", {"refresh": got["refresh"]})
    with pytest.raises(Unauthenticated, match="Sign in first"):
        place.call("session.logout", {"refresh": got["refresh"]}, got["access"])


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_who_signs_out_is_out_whatever_refresh_token_they_give(place, somebody):
    got = place.sign_in(somebody)
    place.call("session.logout", {"refresh": "rt_never-given"}, got["access"])
    with pytest.raises(Unauthenticated, match="Sign in first"):
        place.call("session.whoami", {}, got["access"])
    with pytest.raises(Unauthenticated, match="Sign in again"):
        place.call("session.refresh", {"refresh": got["refresh"]})


@pytest.mark.security
def test_signing_out_one_place_leaves_the_others(place, somebody):
    here, there = place.sign_in(somebody), place.sign_in(somebody)
    place.call("session.logout", {"refresh": here["refresh"]}, here["access"])
    assert place.call("session.refresh", {"refresh": there["refresh"]}).access


def test_a_new_password_works_and_the_old_one_does_not(place, somebody):
    token = place.sign_in(somebody)["access"]
    place.call("session.password", {"old": PASSWORD, "new": NEW}, token)
    assert place.sign_in(somebody, NEW)["must_change"] is False
    with pytest.raises(Unauthenticated):
        place.sign_in(somebody)


@pytest.mark.security
@pytest.mark.req("SEC-A03")
@pytest.mark.parametrize(
    ("old", "new", "kind", "says"),
    [
        ("not the old one", NEW, Denied, "old password is wrong"),
        (PASSWORD, PASSWORD, Invalid, "is the old one"),
        (PASSWORD, "", Invalid, "is required"),
        (PASSWORD, "short", Invalid, "15 to 256"),
        (PASSWORD, "x" * 257, Invalid, "15 to 256"),
        (PASSWORD, "aaaaaaaaaaaaaaaaaaaa", Invalid, "repeats"),
    ],
)
def test_a_password_that_will_not_do_changes_nothing_and_is_not_repeated(place, somebody, old, new, kind, says):
    token = place.sign_in(somebody)["access"]
    with pytest.raises(kind, match=says) as told:
        place.call("session.password", {"old": old, "new": new}, token)
    assert not new or new not in str(told.value)
    assert place.sign_in(somebody)["access"]


def test_the_first_administrator_is_signed_in_at_once(empty):
    code = empty.app.services.login.bootstrap_code().reveal()
    made = empty.call("session.bootstrap", {"code": code, "email": "ada@example.org", "name": "Ada", "password": NEW})
    me = empty.call("session.whoami", {}, made.access)
    assert (me.role, me.email, me.tenant) == ("superadmin", "ada@example.org", None)
    assert empty.call("system.health").bootstrap is False


@pytest.mark.security
def test_tokens_of_somebody_who_was_put_out_are_not_renewed(place, somebody):
    got = place.sign_in(somebody)
    place.scope("north").people().set_state(somebody.id, UserState.DISABLED)
    with pytest.raises(Unauthenticated):
        place.call("session.refresh", {"refresh": got["refresh"]})
    place.scope("north").people().set_state(somebody.id, UserState.ACTIVE)
    assert place.sign_in(somebody)["access"]


@pytest.mark.security
@pytest.mark.parametrize("text", ["", "rt_", "rt_" + "A" * 43, "x" * 4096])
def test_what_is_no_refresh_token_is_refused_in_one_way(place, text):
    with pytest.raises(Unauthenticated, match="Sign in again"):
        place.call("session.refresh", {"refresh": text})


@pytest.mark.security
@pytest.mark.req("SEC-A03")
@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ("short", "15 to 256"),
        ("x" * 257, "15 to 256"),
        ("aaaaaaaaaaaaaaaaaaaa", "too few"),
        ("abababababababababab", "too few"),
        ("firstfirstfirst1", "your name, your address"),
    ],
)
def test_a_weak_password_is_refused_and_not_repeated(empty, chosen, why):
    code = empty.app.services.login.bootstrap_code()
    peer = Peer(address())
    with pytest.raises(Invalid, match=why) as told:
        empty.app.services.login.bootstrap(
            code, "first@example.org", "First", Secret(chosen), peer, empty.key.thumbprint
        )
    assert chosen not in str(told.value)
    assert empty.call("system.health").bootstrap is True
