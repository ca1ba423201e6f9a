"""Tickets: for one question of one person, once, for half a minute, and not past what voids their token."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace

import pytest

from sluicegate.base.errors import Unauthenticated
from sluicegate.base.principal import Peer, Role
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import load_key_file
from sluicegate.guard.tickets import LIFE, Tickets
from sluicegate.guard.tokens import ACCESS

ASK = {"id": "01a20ae5-c678-7dd4-b306-5c38cdec57df"}
PEER = Peer("10.9.9.9", "a test", "request-1")


def principal(place, role=Role.VIEWER):
    services = place.app.services
    return services.login.principal(services.tokens.verify(ACCESS, place.token(role)))


def make(place, **more):
    services = place.app.services
    return Tickets(load_key_file(place.home / "root.key"), services.system, services.audit, services.revocation, **more)


def refuse(tickets, given, operation="run.log"):
    with pytest.raises(Unauthenticated) as told:
        tickets.take(given, operation, PEER)
    assert told.value.problem() == Unauthenticated().problem(), "one refusal, whatever the cause"


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_a_ticket_carries_who_and_what_and_any_node_takes_it_once(place):
    here, there, who = make(place), make(place), principal(place)
    given, life = here.issue(who, "run.log", ASK)
    assert 0 < life <= LIFE
    assert given.reveal().startswith("tk_")
    bound = there.take(given, "run.log", PEER)
    assert bound.ask == ASK
    assert place.app.services.login.principal(bound.claims) == who
    before = place.head()
    refuse(here, given)
    found = place.records(after=before)
    assert [(each["action"], each["result"], each["about"]) for each in found] == [
        ("ticket.use", "reused", {"id": who.id, "operation": "run.log"})
    ]
    assert given.reveal() not in str(found)


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_a_ticket_for_one_operation_opens_no_other_and_is_used_up_by_trying(place):
    tickets, who, before = make(place), principal(place), place.head()
    given, _ = tickets.issue(who, "run.log", ASK)
    refuse(tickets, given, "audit.export")
    refuse(tickets, given)
    assert [each["result"] for each in place.records(after=before)] == ["misused", "reused"]


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-T07")
def test_what_is_no_ticket_opens_nothing_and_fills_no_trail(place):
    tickets = make(place)
    given, _ = tickets.issue(principal(place), "run.log", ASK)
    before = place.head(), place.head(None)
    for text in (
        "",
        "tk_",
        given.reveal()[:-1],
        given.reveal() + "A",
        given.reveal().swapcase(),
        "tk_" + "A" * 43,
        "\udcff",
    ):
        refuse(tickets, Secret(text))
    refuse(tickets, None)
    assert (place.head(), place.head(None)) == before
    assert tickets.take(given, "run.log", PEER).ask == ASK


@pytest.mark.security
@pytest.mark.req("SEC-T05", "SEC-T19")
def test_a_ticket_ends_with_its_half_minute_and_with_its_token(place, monkeypatch):
    who, database = principal(place), place.app.services.system.database
    given, life = make(place).issue(who, "run.log", ASK)
    late = database.clock() + life + 1
    monkeypatch.setattr(database, "clock", lambda: late)
    refuse(make(place), given)
    monkeypatch.undo()
    near = make(place, now=lambda: who.until - 5)
    given, life = near.issue(who, "run.log", ASK)
    assert life == 5
    refuse(make(place, now=lambda: who.until), given)
    with pytest.raises(Unauthenticated):
        make(place, now=lambda: who.until).issue(who, "run.log", ASK)


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-T19")
@pytest.mark.parametrize("kind", ["token", "family", "user", "tenant", "all"])
def test_what_voids_the_token_voids_the_ticket(fresh, kind):
    who, tickets, marks = principal(fresh), make(fresh), fresh.app.services.system.marks()
    given, _ = tickets.issue(who, "run.log", ASK)
    if kind in ("token", "family"):
        marks.revoke(who.token if kind == "token" else who.grant, time.time() + 400)
    elif kind == "user":
        marks.raise_user(who.id)
    elif kind == "tenant":
        marks.raise_tenant(who.tenant)
    else:
        marks.raise_all()
    refuse(tickets, given)


@pytest.mark.security
@pytest.mark.req("SEC-T10", "SEC-T19")
def test_a_ticket_asked_for_with_a_void_token_is_void(fresh):
    """The mark may come between letting the request in and making the ticket."""
    who, tickets = principal(fresh), make(fresh)
    fresh.app.services.system.marks().raise_user(who.id)
    given, _ = tickets.issue(who, "run.log", ASK)
    refuse(tickets, given)


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T19")
def test_at_rest_there_is_a_digest_and_nothing_to_read_or_change(fresh):
    who, tickets = principal(fresh), make(fresh)
    given, other = (tickets.issue(who, "run.log", {**ASK, "n": n})[0] for n in range(2))
    held = (fresh.home / "store.db").read_bytes() + (fresh.home / "store.db-wal").read_bytes()
    assert given.reveal().encode() not in held
    assert given.reveal()[3:].encode() not in held
    with sqlite3.connect(fresh.home / "store.db") as connection:
        rows = connection.execute("select digest, sealed from tickets").fetchall()
        assert all(len(digest) == 64 and b"run.log" not in sealed for digest, sealed in rows)
        for (digest, _), (_, sealed) in zip(rows, reversed(rows), strict=True):
            connection.execute("update tickets set sealed = ? where digest = ?", (sealed, digest))
    connection.close()
    before = fresh.head()
    refuse(tickets, given)
    refuse(tickets, other)
    assert [each["result"] for each in fresh.records(after=before)] == ["tampered"] * 2


@pytest.mark.security
@pytest.mark.req("SEC-T17")
def test_a_ticket_is_sealed_for_this_installation(place, fresh):
    given, _ = make(place).issue(principal(place), "run.log", ASK)
    refuse(make(fresh), given)


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_narrowed_key_s_ticket_is_as_narrow(place):
    key = place.new_key(place.people["north", Role.EDITOR], ["run:read"]).key
    services = place.app.services
    who = services.login.principal(services.tokens.verify(ACCESS, place.exchange(key)))
    bound = make(place).take(make(place).issue(who, "run.log", ASK)[0], "run.log", PEER)
    assert services.login.principal(bound.claims).scopes == who.scopes == frozenset({"run:read"})


def test_a_misplaced_ticket_is_on_record(place):
    tickets, who, before = make(place), principal(place), place.head()
    bound = tickets.take(tickets.issue(who, "run.log", ASK)[0], "run.log", PEER)
    tickets.misplaced(bound, "run.log", PEER)
    assert [each["result"] for each in place.records(after=before)] == ["misused"]


def test_old_ones_are_swept(fresh, monkeypatch):
    tickets, who = make(fresh), principal(fresh)
    tickets.issue(replace(who), "run.log", ASK)
    late = fresh.app.services.system.database.clock() + 10_000
    monkeypatch.setattr(fresh.app.services.system.database, "clock", lambda: late)
    fresh.app.services.revocation.on_hour()
    assert fresh.app.services.system.tickets().purge() == 0, "the hour has done it"
