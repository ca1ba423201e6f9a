"""Oneself, over the gate: profile, sign-ins, notices."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid, Missing, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Peer, Role
from sluicegate.crypto.dpop import ProofKey
from tests.fixtures.server import BY_NAME, PASSWORD, address


@pytest.fixture
def viewer(fresh):
    return fresh.people["north", Role.VIEWER]


def test_a_profile_is_shown_and_set(fresh, viewer):
    token = fresh.token(viewer)
    before = fresh.call("profile.get", {}, token)
    assert (before.email, before.name, before.role, before.language, before.factor) == (
        viewer.email,
        "Some Body",
        "viewer",
        "",
        False,
    )
    told = fresh.call("profile.update", {"name": "Vera Day", "language": "pt-BR", "zone": "Europe/Berlin"}, token)
    assert told == fresh.call("profile.get", {}, token)
    assert (told.name, told.language, told.zone) == ("Vera Day", "pt-BR", "Europe/Berlin")
    listed = fresh.call("user.list", {}, fresh.token(Role.ADMINISTRATOR)).items
    assert [each.name for each in listed if each.id == viewer.id] == ["Vera Day"]


@pytest.mark.security
@pytest.mark.req("SEC-A17")
@pytest.mark.parametrize(
    "more",
    [{"name": ""}, {"name": "a\nb"}, {"name": "a\u202eb"}, {"language": "german"}, {"language": "de_DE"}, {"zone": "Mars/Base"},
     {"zone": "../etc/passwd"}, {"email": "a@b.c"}, {"role": "administrator"}, {"state": "active"}, {"password": PASSWORD}],
)  # fmt: skip
def test_what_does_not_fit_or_is_not_ones_own_to_set_changes_nothing(fresh, viewer, more):
    token = fresh.token(viewer)
    before = fresh.call("profile.get", {}, token)
    with pytest.raises(Invalid):
        fresh.call("profile.update", {"name": "Vera Day", **more}, token)
    assert fresh.call("profile.get", {}, token) == before


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_ones_sign_ins_are_listed_and_ended_at_once(fresh, viewer):
    key = ProofKey.new()
    ask = {"tenant": "north", "email": viewer.email, "password": PASSWORD}
    peer = Peer("10.44.0.1", "a phone")
    other = fresh.app.gate.call(BY_NAME["session.login"], ask, fresh.credentials(None, "POST", key), peer)
    token = fresh.sign_in(viewer)["access"]
    items = fresh.call("grant.list", {}, token).items
    assert [each.current for each in items] == [True, False]
    assert (items[1].client, items[1].address) == ("a phone", "10.44.0.1")
    fresh.call("grant.end", {"id": items[1].id}, token)
    with pytest.raises(Unauthenticated):
        fresh.app.gate.call(BY_NAME["session.whoami"], {}, fresh.credentials(other.access, "GET", key), Peer(address()))
    assert [each.id for each in fresh.call("grant.list", {}, token).items] == [items[0].id]


@pytest.mark.security
@pytest.mark.req("SEC-A18", "SEC-Z03")
def test_nobody_ends_anothers_sign_in(fresh, viewer):
    theirs = fresh.call("grant.list", {}, fresh.token(viewer)).items[0].id
    for role in (Role.ADMINISTRATOR, Role.SUPERADMIN):
        for id_ in (theirs, new_id()):
            with pytest.raises(Missing):
                fresh.call("grant.end", {"id": id_}, fresh.token(role))
    assert fresh.call("session.whoami", {}, fresh.token(viewer)).id == viewer.id


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_all_others_end_and_this_one_stays(fresh, viewer):
    old, token = fresh.sign_in(viewer), fresh.sign_in(viewer)["access"]
    assert fresh.call("grant.others", {}, token).count == 1
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, old["access"])
    with pytest.raises(Unauthenticated):
        fresh.call("session.refresh", {"refresh": old["refresh"]})
    assert fresh.call("session.whoami", {}, token).id == viewer.id


@pytest.mark.security
@pytest.mark.req("SEC-A18", "SEC-Z03")
def test_notices_are_ones_own(fresh, viewer):
    fresh.call("factor.reset", {"id": viewer.id}, fresh.token(Role.ADMINISTRATOR))
    items = fresh.call("notice.list", {}, fresh.token(viewer)).items
    assert [(each.kind, each.subject) for each in items] == [("factor_reset", "Second factors reset")]
    assert fresh.call("notice.list", {}, fresh.token(Role.ADMINISTRATOR)).items == ()
    fresh.app.services.notices.tell_of(viewer.id, "key_leaked", Peer("10.1.1.1", "c"), key="night-load")
    newest = fresh.call("notice.list", {}, fresh.token(viewer)).items[0]
    assert (newest.address, newest.client, newest.about) == ("10.1.1.1", "c", "night-load")


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_no_key_looks_at_or_changes_a_person(fresh, viewer):
    token = fresh.exchange(fresh.new_key(viewer).key)
    asks = {"profile.get": {}, "profile.update": {"name": "Eve"}, "profile.email": {"email": "e@x.example"}, "grant.list": {},
            "grant.end": {"id": new_id()}, "grant.others": {}, "notice.list": {}}  # fmt: skip
    for operation, ask in asks.items():
        with pytest.raises(Denied, match="for people"):
            fresh.call(operation, ask, token)
