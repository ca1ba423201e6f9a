"""Support access through the gate: given by the tenant, used on record, over at once."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from sluicegate.base.errors import Denied, Missing, SluiceError
from sluicegate.base.model import new_id
from sluicegate.base.principal import Peer, Role
from sluicegate.guard.operation import Nothing
from tests.fixtures.server import BY_NAME, address

SOURCE = """\
kind: connection
name: here
type: files
---
kind: flow
name: look
steps:
- read: { name: a, connection: here, item: in.csv }
"""
LOOK = {"name": "look", "step": "a"}


@pytest.fixture
def filled(engine):
    folder = engine.home / "data" / engine.tenants["north"]
    folder.mkdir(parents=True)
    (folder / "in.csv").write_text("a\ncanary\n")
    engine.call("definition.apply", {"source": SOURCE}, engine.token(Role.EDITOR))
    return engine


def give(place, **more):
    return place.call("support.grant", {"reason": "ticket 7", **more}, place.token(Role.ADMINISTRATOR))


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-T09", "SEC-L02")
def test_a_superadmin_sees_rows_while_it_lasts_each_time_on_record_and_not_after(filled):
    root, admin = filled.token(Role.SUPERADMIN), filled.token(Role.ADMINISTRATOR)
    with pytest.raises(Denied):
        filled.call("flow.preview", LOOK, root)
    made, before = give(filled, hours=1), filled.head()
    assert (made.state, made.reason, made.scopes) == ("active", "ticket 7", ("data:read",))
    me = filled.call("session.whoami", {}, root)
    assert (me.support, "data:read" in me.permissions) == (made.id, True)
    assert filled.call("flow.preview", LOOK, root).rows == (("canary",),)
    filled.call("run.list", {}, root)
    told = [(each["action"], each["result"], each["support"]) for each in filled.records(after=before)]
    assert told == [
        (name, result, made.id) for name in ("session.whoami", "flow.preview", "run.list") for result in ("asked", "ok")
    ]
    shown = filled.call("audit.list", {"action": "flow.preview", "limit": 1}, admin).items[0]
    assert (shown.support, shown.role) == (made.id, "superadmin")
    filled.call("support.revoke", {"id": made.id}, admin)
    with pytest.raises(Denied):
        filled.call("flow.preview", LOOK, root)
    assert filled.call("support.list", {}, admin).items[0].state == "revoked"
    before = filled.head()
    filled.call("run.list", {}, root)
    assert filled.head() == before, "plain reads are plain again"


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_what_is_on_its_way_when_it_ends_is_not_handed_out(filled, monkeypatch):
    made, root, admin = give(filled), filled.token(Role.SUPERADMIN), filled.token(Role.ADMINISTRATOR)
    asked, go_on, told = threading.Event(), threading.Event(), []
    worker = filled.app.worker
    ask = worker.ask

    def slow(*words):
        found = ask(*words)
        asked.set()
        go_on.wait(20)
        return found

    monkeypatch.setattr(worker, "ask", slow)

    def look():
        try:
            told.append(filled.call("flow.preview", LOOK, root))
        except SluiceError as fault:
            told.append(fault.code)

    thread = threading.Thread(target=look)
    thread.start()
    assert asked.wait(60), "the rows have been read"
    filled.call("support.revoke", {"id": made.id}, admin)
    go_on.set()
    thread.join()
    assert told == ["denied"]
    assert filled.records()[-1]["result"] == "denied"


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_what_waits_while_it_ends_is_not_handed_out(filled):
    made, admin, gate = give(filled), filled.token(Role.ADMINISTRATOR), filled.app.gate
    credentials = filled.credentials(filled.token(Role.SUPERADMIN), "GET")

    def look(_ask, _desk):
        filled.call("support.revoke", {"id": made.id}, admin)
        return Nothing()

    slow = replace(BY_NAME["flow.list"], call=look)
    entry = replace(gate.enter(slow, credentials, Peer(address(), "a test", "request-1")), told=True)
    with pytest.raises(Denied, match="has ended"):
        gate.proceed(entry, {})


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-Z08")
def test_no_superadmin_gives_it_and_no_key_does(fresh):
    with pytest.raises(Denied):
        fresh.call("support.grant", {"reason": "for me"}, fresh.token(Role.SUPERADMIN))
    key = fresh.new_key(fresh.people["north", Role.ADMINISTRATOR])
    with pytest.raises(Denied, match="for people"):
        fresh.call("support.grant", {"reason": "for me"}, fresh.exchange(key.key))
    assert fresh.call("support.list", {}, fresh.token(Role.ADMINISTRATOR)).items == ()


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_it_opens_one_tenant_and_lends_no_secret(fresh):
    give(fresh)
    south = fresh.token(Role.SUPERADMIN, "south")
    assert fresh.call("session.whoami", {}, south).support is None
    with pytest.raises(Denied):
        fresh.call("connection.items", {"name": "none"}, south)
    with pytest.raises(Missing):
        fresh.call("connection.items", {"name": "none"}, fresh.token(Role.SUPERADMIN))
    with pytest.raises(Missing):
        fresh.call("support.revoke", {"id": new_id()}, fresh.token(Role.ADMINISTRATOR))


@pytest.mark.security
@pytest.mark.req("SEC-Z06")
@pytest.mark.parametrize("more", [{"hours": 25}, {"hours": 0}, {"reason": ""}, {"reason": "a\nb"}, {"scopes": []}])
def test_what_does_not_fit_gives_nothing(place, more):
    token = place.token(Role.ADMINISTRATOR)
    before = len(place.call("support.list", {}, token).items)
    with pytest.raises(SluiceError) as told:
        place.call("support.grant", {"reason": "ticket 7", **more}, token)
    assert told.value.code == "invalid"
    assert len(place.call("support.list", {}, token).items) == before


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z02")
def test_what_is_lent_for_a_while_makes_no_key_that_lasts(fresh):
    root = fresh.token(Role.SUPERADMIN)
    give(fresh, hours=1)
    service = fresh.call("service.create", {"name": "helper", "role": "editor"}, root).id
    for scope in ("data:read", "definition:write", "run:control"):
        with pytest.raises(Denied, match="is more"):
            fresh.call("key.create", {"name": "k", "user": service, "scopes": [scope]}, root)
    assert fresh.call("key.create", {"name": "k", "user": service, "scopes": ["flow:read"]}, root).scopes == (
        "flow:read",
    )
