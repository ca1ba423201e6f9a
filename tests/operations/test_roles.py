"""Another role: given from above, never to oneself, and felt at once."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid, Missing, SluiceError, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.guard import policy
from tests.fixtures.server import Person

TENANTS = [each for each in Role if each is not Role.SUPERADMIN]


@pytest.fixture
def administrator(place):
    return place.token(Role.ADMINISTRATOR)


def somebody(place, role=Role.EDITOR):
    return place.add("north", role, f"{new_id()}@north.example")


def give(place, token, who, role):
    return place.call("user.role", {"id": who.id, "role": role}, token)


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-L02")
def test_tokens_and_keys_end_and_the_next_sign_in_has_the_new_role(place, administrator):
    who = somebody(place)
    held = place.sign_in(who)
    key = place.new_key(who, ["flow:read"])
    token, before = place.exchange(key.key), place.head()
    told = give(place, administrator, who, "viewer")
    assert (told.before, told.role, told.email) == ("editor", "viewer", who.email)
    for dead in (held["access"], token):
        with pytest.raises(Unauthenticated):
            place.call("flow.list", {}, dead)
    with pytest.raises(Unauthenticated):
        place.exchange(key.key)
    kept = place.call("session.refresh", {"refresh": held["refresh"]})
    assert place.call("session.whoami", {}, kept.access).role == "viewer", "signed in still, with the role of now"
    asked, done = (each for each in place.records(after=before) if each["action"] == "user.role")
    assert (asked["result"], asked["about"]) == ("asked", {"id": who.id, "role": "viewer"})
    assert done["about"] == {"id": who.id, "email": who.email, "before": "editor", "role": "viewer"}


def test_the_same_role_again_ends_nothing(place, administrator):
    who = somebody(place)
    held = place.sign_in(who)["access"]
    assert give(place, administrator, who, "editor").role == "editor"
    assert place.call("session.whoami", {}, held).role == "editor"


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_nobody_changes_their_own_makes_a_superadmin_or_reaches_another_tenant(place, administrator):
    me = place.people["north", Role.ADMINISTRATOR]
    with pytest.raises(Denied, match="their own role"):
        give(place, administrator, me, "viewer")
    who = somebody(place)
    with pytest.raises(Denied, match="above their own"):
        give(place, administrator, who, "superadmin")
    with pytest.raises(Invalid, match="belongs to no tenant"):
        give(place, place.token(Role.SUPERADMIN), who, "superadmin")
    for foreign in (place.people["south", Role.VIEWER], place.people[None, Role.SUPERADMIN]):
        with pytest.raises(Missing):
            give(place, administrator, foreign, "viewer")
    assert place.scope("north").people().get(who.id).role is Role.EDITOR


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_a_service_user_stays_below_who_raises_it(place, administrator):
    made = place.call("service.create", {"name": f"s-{new_id()[-12:]}", "role": "viewer"}, administrator)
    who = Person(made.id, made.name, Role.VIEWER, "north")
    assert give(place, administrator, who, "editor").role == "editor"
    with pytest.raises(Denied, match="below that of its maker"):
        give(place, administrator, who, "administrator")


def granting(place, token, role, target):
    """Yield each way to give ``role``, or to touch who has it, with a question that is right in all else."""
    service = place.app.services.scope(place.tenants["north"], _system(place)).people()
    yield "user.create", {"email": f"{new_id()}@north.example", "role": role.value}
    yield "service.create", {"name": f"s-{new_id()[-12:]}", "role": role.value}
    yield "user.role", {"id": somebody(place, Role.API_USER).id, "role": role.value}
    yield "user.role", {"id": target.id, "role": "api_user"}
    yield "user.addresses", {"id": target.id, "addresses": ["10.0.0.0/8"]}
    yield "factor.reset", {"id": target.id}
    owner = service.create_service(f"s-{new_id()[-12:]}", role)
    yield "key.create", {"name": "k", "user": owner.id, "scopes": ["self:use"]}
    yield "user.deactivate", {"id": target.id}


def _system(place):
    from sluicegate.base.principal import Principal, Via

    return Principal("system", place.tenants["north"], Role.ADMINISTRATOR, Via.SYSTEM)


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@pytest.mark.parametrize("giver", TENANTS)
@pytest.mark.parametrize("role", TENANTS)
def test_nobody_grants_or_touches_above_their_own_role_in_any_way(place, monkeypatch, giver, role):
    """Whatever the table of permissions says of who manages people: here, everybody does."""
    everybody = {each: given | {Permission.USER_MANAGE} for each, given in policy.GRANTS.items()}
    monkeypatch.setattr(policy, "GRANTS", everybody)
    token, target = place.token(giver), somebody(place, role)
    for operation, ask in granting(place, token, role, target):
        try:
            place.call(operation, ask, token)
            done = True
        except SluiceError as fault:
            assert fault.code == "denied", (operation, fault)
            done = False
        below = operation == "service.create"
        may = policy.RANK[role] < policy.RANK[giver] if below else policy.RANK[role] <= policy.RANK[giver]
        assert done is may, operation
