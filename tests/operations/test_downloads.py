"""Downloads and streams behind the gate: what they say, to whom, and what is on record."""

from __future__ import annotations

import json

import pytest

from sluicegate.base.errors import Denied, Invalid, Missing, SluiceError, Throttled, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Credentials, Peer, Role
from sluicegate.base.secret import Secret
from sluicegate.crypto import seal
from sluicegate.guard.limits import SENDING_MAX
from sluicegate.operations import runs
from sluicegate.store.people import UserState
from tests.fixtures.server import BY_NAME, address


def enter(place, operation, ask, role=Role.OPERATOR):
    """Return the pieces that a ticket opens, as a browser gets it."""
    told = place.call("ticket.create", {"operation": operation, "ask": ask}, place.token(role))
    return use(place, operation, told.ticket)


def use(place, operation, ticket, places=None):
    given = Credentials(ticket=Secret(ticket))
    return place.app.gate.call(BY_NAME[operation], places or {}, given, Peer(address(), "a test", "request-1"))


def drain(pieces):
    found = []
    while piece := pieces.next():
        found.append(piece)
    return b"".join(found)


def lines(pieces):
    return [json.loads(line) for line in drain(pieces).splitlines()]


def test_the_log_of_a_run_is_whole_and_in_order(place):
    run = place.a_run("north")
    place.scope("north").runs().events_many(run, [("log", {"message": f"line {n}"}) for n in range(1203)])
    pieces = enter(place, "run.log", {"id": run})
    assert (pieces.name, pieces.media) == (f"idle-{run}.ndjson", "application/x-ndjson")
    found = [each for each in lines(pieces) if each["kind"] == "log"]
    assert [each["body"]["message"] for each in found] == [f"line {n}" for n in range(1203)]


@pytest.mark.security
@pytest.mark.req("SEC-Z07")
def test_who_may_not_read_rows_is_told_no_row_in_a_download_either(place):
    run = place.a_run("north")
    place.scope("north").runs().event(run, "reject", {"step": "s", "reason": "a canary of a row"})
    assert b"a canary of a row" in drain(enter(place, "run.log", {"id": run}))
    for operation in ("run.log", "run.watch"):
        assert b"a canary of a row" not in drain(enter(place, operation, {"id": run}, Role.VIEWER))


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-B02")
def test_quarantined_rows_are_downloaded_whole_and_their_key_s_use_is_on_record(place):
    run, scope = place.a_run("north"), place.scope("north")
    quarantine = place.app.worker._quarantine
    file = quarantine.folder(scope) / f"{run}.ndjson.age"
    with file.open("wb") as out, seal.seal_to([quarantine.recipient(scope, run)], out) as sealed:
        for line in range(700):
            sealed.write(json.dumps({"line": line}).encode() + b"\n")
    place.token(Role.OPERATOR)
    before = place.head()
    pieces = enter(place, "run.rejected", {"id": run})
    assert pieces.name == f"idle-{run}-rejects.ndjson"
    assert [each["line"] for each in lines(pieces)] == list(range(700))
    assert pieces.next() is None
    assert [(each["action"], each["result"]) for each in place.records(after=before)] == [
        ("ticket.create", "asked"),
        ("ticket.create", "ok"),
        ("run.rejected", "asked"),
        ("secret.use", "ok"),
        ("run.rejected", "ok"),
    ]
    assert lines(enter(place, "run.rejected", {"id": place.a_run("north")})) == [], "nothing was kept"


@pytest.mark.security
@pytest.mark.req("SEC-L01", "SEC-L02")
def test_the_trail_is_exported_up_to_where_it_was(place):
    place.a_run("north")
    pieces = enter(place, "audit.export", {}, Role.ADMINISTRATOR)
    found = lines(pieces)
    assert [each["seq"] for each in found] == list(range(1, len(found) + 1))
    assert (found[-1]["action"], found[-1]["result"]) == ("audit.export", "asked")
    assert pieces.name == f"audit-to-{len(found)}.ndjson"
    only = lines(enter(place, "audit.export", {"action": "session.login"}, Role.ADMINISTRATOR))
    assert {each["action"] for each in only} == {"session.login"}
    assert place.records()[-1]["result"] == "ok"


def test_a_run_is_followed_to_its_end_as_server_sent_events(place):
    run = place.a_run("north")
    store = place.scope("north").runs()
    store.event(run, "log", {"message": "one\n\ndata: no event of its own"})
    pieces = enter(place, "run.watch", {"id": run})
    assert (pieces.media, pieces.topic) == ("text/event-stream", run)
    first = pieces.next()
    number, data, *rest = first.decode().split("\n")
    assert (number, rest) == ("id: 1", ["", ""])
    assert json.loads(data.removeprefix("data: "))["body"]["message"] == "one\n\ndata: no event of its own"
    assert pieces.next() == b"", "there is nothing new"
    store.event(run, "log", {"message": "two"})
    assert b'"message":"two"' in pieces.next()
    assert b'"message":"two"' in enter(place, "run.watch", {"id": run, "after": 1}).next()
    pieces.close()


def test_a_stream_says_that_the_run_is_over(place, monkeypatch):
    monkeypatch.setattr(runs, "ENDED", frozenset({"queued"}))
    run = place.a_run("north")
    assert drain(enter(place, "run.watch", {"id": run})).endswith(b'event: end\ndata: {"why":"over"}\n\n')


# -- who gets a ticket, and what it opens ------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-Z02")
@pytest.mark.parametrize(("operation", "role"), [("audit.export", Role.EDITOR), ("run.rejected", Role.VIEWER)])
def test_nobody_gets_a_ticket_for_what_they_may_not_do(place, operation, role):
    token, before = place.token(role), place.head()
    with pytest.raises(Denied):
        place.call("ticket.create", {"operation": operation, "ask": {}}, token)
    found = [(each["action"], each["result"], each["about"]) for each in place.records(after=before)]
    assert found == [("ticket.create", result, {"operation": operation}) for result in ("asked", "denied")]


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_a_ticket_is_for_downloads_and_for_questions_that_fit(place):
    token = place.token(Role.ADMINISTRATOR)
    for ask in (
        {"operation": "user.list"},
        {"operation": "secret.set", "ask": {"name": "a", "value": "canary-0815"}},
        {"operation": "run.log"},
        {"operation": "run.log", "ask": {"id": "canary-0815"}},
        {"operation": "run.log", "ask": {"id": new_id(), "canary-0815": 1}},
        {"operation": "audit.export", "ask": {"action": ["canary-0815"]}},
    ):
        with pytest.raises(Invalid) as told:
            place.call("ticket.create", ask, token)
        assert "canary-0815" not in json.dumps(told.value.problem())


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_the_address_says_where_and_the_ticket_what(place):
    run, other = place.a_run("north"), place.a_run("north")
    told = place.call("ticket.create", {"operation": "run.log", "ask": {"id": run}}, place.token(Role.VIEWER))
    assert told.url == f"/api/v1/runs/{run}/log?ticket={told.ticket}"
    assert 0 < told.expires_in <= 30
    before = place.head()
    with pytest.raises(Unauthenticated):
        use(place, "run.log", told.ticket, {"id": other})
    assert [(each["action"], each["result"]) for each in place.records(after=before)] == [("ticket.use", "misused")]
    with pytest.raises(Unauthenticated):
        use(place, "run.log", told.ticket, {"id": run})


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-T20")
@pytest.mark.parametrize("operation", [name for name, each in BY_NAME.items() if each.ticketed])
def test_no_token_opens_what_a_ticket_opens(place, operation):
    token = place.token(Role.ADMINISTRATOR)
    for given in (
        place.credentials(token),
        Credentials(Secret(token), ticket=Secret(token)),
        Credentials(ticket=None),
    ):
        with pytest.raises(Unauthenticated):
            place.app.gate.call(BY_NAME[operation], {"id": new_id()}, given, Peer(address()))


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-T17")
@pytest.mark.parametrize("operation", [name for name, each in BY_NAME.items() if not each.ticketed])
def test_a_ticket_opens_no_other_operation(place, operation):
    ask = {"operation": "audit.export", "ask": {}}
    ticket = place.call("ticket.create", ask, place.token(Role.ADMINISTRATOR)).ticket
    for given in (Credentials(ticket=Secret(ticket)), place.credentials(ticket, BY_NAME[operation].http.method)):
        try:
            place.app.gate.call(BY_NAME[operation], {}, given, Peer(address()))
        except SluiceError as fault:
            assert fault.code in {"unauthenticated", "invalid", "malformed"}, operation
        else:
            assert operation in {"system.health", "seal.get"}
    assert use(place, "audit.export", ticket).next(), "and it is as good as before"


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-T09")
def test_what_is_allowed_is_asked_again_when_the_ticket_is_brought(place, monkeypatch):
    from sluicegate.guard import policy

    told = place.call("ticket.create", {"operation": "audit.export"}, place.token(Role.ADMINISTRATOR))
    monkeypatch.setattr(policy, "GRANTS", {**policy.GRANTS, Role.ADMINISTRATOR: frozenset()})
    with pytest.raises(Denied):
        use(place, "audit.export", told.ticket)


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-T19")
def test_unused_tickets_end_with_their_person_and_with_their_sign_in(place):
    who = place.add("north", Role.OPERATOR, "ticket-leaver@north.example")
    ask, run = {"operation": "run.log", "ask": {}}, place.a_run("north")
    ask["ask"]["id"] = run
    signed = place.sign_in(who)
    first = place.call("ticket.create", ask, signed["access"]).ticket
    place.call("session.logout", {"refresh": signed["refresh"]}, signed["access"])
    second = place.call("ticket.create", ask, place.sign_in(who)["access"]).ticket
    place.scope("north").people().set_state(who.id, UserState.DISABLED)
    for ticket in (first, second):
        with pytest.raises(Unauthenticated):
            use(place, "run.log", ticket)


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-L02")
@pytest.mark.parametrize("operation", ["run.log", "run.watch"])
def test_a_download_that_goes_on_is_cut_when_its_person_is_out(place, operation):
    who, run = place.add("north", Role.OPERATOR, f"cut-{operation}@north.example"), place.a_run("north")
    place.scope("north").runs().events_many(run, [("log", {"message": "x" * 1000}) for _ in range(400)])
    told = place.call("ticket.create", {"operation": operation, "ask": {"id": run}}, place.sign_in(who)["access"])
    pieces = use(place, operation, told.ticket)
    assert pieces.next()
    before = place.head()
    place.scope("north").people().set_state(who.id, UserState.DISABLED)
    with pytest.raises(Unauthenticated):
        pieces.next()
    assert pieces.next() is None
    ended = [(each["action"], each["result"]) for each in place.records(after=before)]
    assert ended == ([("run.log", "unauthenticated")] if operation == "run.log" else [])


@pytest.mark.security
@pytest.mark.req("SEC-T05", "SEC-T15")
def test_a_stream_ends_with_the_token_and_a_file_is_sent_to_its_end(place, monkeypatch):
    run = place.a_run("north")
    place.scope("north").runs().events_many(run, [("log", {"message": "x" * 1000}) for _ in range(200)])
    stream, file = (enter(place, each, {"id": run}) for each in ("run.watch", "run.log"))
    assert stream.next()
    assert file.next()
    from sluicegate.base import clock

    later = clock.system() + place.settings.tokens.access + 1
    monkeypatch.setattr(clock, "system", lambda: later)
    with pytest.raises(Unauthenticated):
        stream.next()
    assert file.next()


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_a_download_that_its_client_leaves_is_on_record_as_cut(place):
    run, before = place.a_run("north"), place.head()
    place.scope("north").runs().event(run, "log", {})
    pieces = enter(place, "run.log", {"id": run})
    assert pieces.next()
    pieces.close()
    assert (place.records(after=before)[-1]["action"], place.records()[-1]["result"]) == ("run.log", "cut")


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_one_person_has_few_downloads_and_streams_at_once(place):
    run = place.a_run("north")
    place.scope("north").runs().event(run, "log", {})
    kept = [enter(place, "run.watch", {"id": run}, Role.VIEWER) for _ in range(SENDING_MAX)]
    assert all(each.next() for each in kept)
    with pytest.raises(Throttled):
        enter(place, "run.watch", {"id": run}, Role.VIEWER).next()
    assert enter(place, "run.watch", {"id": run}, Role.EDITOR).next(), "others have theirs"
    for each in kept:
        each.close()
    assert enter(place, "run.watch", {"id": run}, Role.VIEWER).next()


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_another_tenant_s_run_gives_nothing(place):
    run = place.a_run("north")
    told = place.call(
        "ticket.create", {"operation": "run.log", "ask": {"id": run}}, place.token(Role.OPERATOR, "south")
    )
    with pytest.raises(Missing):
        use(place, "run.log", told.ticket)
