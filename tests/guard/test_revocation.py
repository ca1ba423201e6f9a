"""Marks in memory: the strictest wins, what is marked here counts at once, and silence stops changes."""

from __future__ import annotations

import json
import threading
import time
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Unauthenticated, Unavailable
from sluicegate.base.log import Log
from sluicegate.base.principal import Role
from sluicegate.crypto.token import Claims
from sluicegate.guard.revocation import FEED, STALE, Revocation

CANARY = "canary-hunter2"

TENANTS, USERS, IDS = ("t1", "t2"), ("u1", "u2"), ("j1", "j2", "s1", "s2")


def claims(*, epo, sub="u1", tid="t1", jti="j1", sid="s1"):
    now = int(time.time())
    return Claims(
        iss="i", aud="a", sub=sub, tid=tid, role="editor", jti=jti, iat=now, nbf=now, exp=now + 300, sid=sid, epo=epo
    )


class Mark:
    def __init__(self, seq, kind, subject="", value=0.0):
        self.seq, self.kind, self.subject, self.value = seq, kind, subject, value


MARKS = st.one_of(
    st.tuples(st.just("all"), st.just("")),
    st.tuples(st.just("tenant"), st.sampled_from(TENANTS)),
    st.tuples(st.just("user"), st.sampled_from(USERS)),
    st.tuples(st.sampled_from(("token", "family", "switch")), st.sampled_from(IDS)),
)
TOKENS = st.builds(
    claims, epo=st.integers(0, 12), sub=st.sampled_from(USERS), tid=st.sampled_from((*TENANTS, None)),
    jti=st.sampled_from(("j1", "j2")), sid=st.sampled_from(("s1", "s2")),
)  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-T10")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(marks=st.lists(MARKS, max_size=12), token=TOKENS)
def test_no_token_holds_that_any_mark_forbids(place, marks, token):
    revocation = Revocation(place.app.services.system)
    found = [Mark(seq, kind, subject, time.time() + 60) for seq, (kind, subject) in enumerate(marks, 1)]
    for mark in found:
        revocation._take(mark)
    forbidden = any(
        (
            mark.seq > token.epo
            and (
                mark.kind == "all"
                or (mark.kind, mark.subject) in {("tenant", token.tid), ("user", token.sub), ("switch", token.sid)}
            )
        )
        or (mark.kind in {"token", "family"} and mark.subject in {token.jti, token.sid})
        for mark in found
    )
    assert revocation.holds(token) is not forbidden


@pytest.mark.security
@pytest.mark.req("SEC-T09")
@pytest.mark.parametrize("change", ["logout", "disable", "role", "password", "suspend", "everybody"])
def test_a_token_is_void_as_soon_as_its_reason_is_gone(fresh, change):
    who = fresh.people["north", Role.OPERATOR]
    granted, other = fresh.sign_in(who), fresh.sign_in(fresh.people["south", Role.OPERATOR])
    system, people = fresh.app.services.system, fresh.scope("north").people()
    {
        "logout": lambda: fresh.call("session.logout", {"refresh": granted["refresh"]}, granted["access"]),
        "disable": lambda: people.set_state(who.id, "disabled"),
        "role": lambda: people.set_role(who.id, Role.VIEWER),
        "password": lambda: people.set_password(who.id, fresh.hash),
        "suspend": lambda: system.tenants().set_state(fresh.tenants["north"], "suspended"),
        "everybody": lambda: system.marks().raise_all(),
    }[change]()
    assert fresh.request("GET", "/api/v1/flows", granted["access"]).status_code == 401
    assert fresh.request("GET", "/api/v1/flows", other["access"]).status_code == (401 if change == "everybody" else 200)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_who_asks_while_a_mark_is_being_read_waits_for_it(fresh, monkeypatch):
    """The follower has begun to read, and has not taken the mark in yet: that is no moment to let a token through."""
    who = fresh.people["north", Role.OPERATOR]
    access = fresh.app.services.tokens.verify(_access(), fresh.sign_in(who)["access"])
    revocation, marks = fresh.app.services.revocation, type(fresh.app.services.system.marks())
    reading, go_on, since = threading.Event(), threading.Event(), marks.since

    def slow(self, *words):
        found = since(self, *words)
        if found:
            reading.set()
            go_on.wait(10)
        return found

    monkeypatch.setattr(marks, "since", slow)
    fresh.scope("north").people().set_state(who.id, "disabled")
    assert reading.wait(10), "the follower is at it"
    told = []
    asker = threading.Thread(target=lambda: told.append(revocation.holds(access)))
    asker.start()
    asker.join(0.3)
    assert told == []
    go_on.set()
    asker.join(10)
    assert told == [False]


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_another_node_sees_it_within_a_second(fresh):
    """A node of its own on the same file: nothing is announced there, so this is the slow way."""
    from sluicegate.store.database import Database
    from sluicegate.store.scope import System

    database = Database(fresh.settings.store_url)
    node = Revocation(System(database))
    node.open()
    try:
        taken = []
        for role in (Role.OPERATOR, Role.EDITOR, Role.VIEWER):
            who = fresh.people["north", role]
            access = fresh.app.services.tokens.verify(_access(), fresh.sign_in(who)["access"])
            assert node.holds(access)
            fresh.scope("north").people().set_state(who.id, "disabled")
            began = time.monotonic()
            while node.holds(access) and time.monotonic() - began < 10:
                time.sleep(0.01)
            taken.append(time.monotonic() - began)
            assert not node.holds(access)
        assert min(taken) < 1.5, "one beat, and what a loaded machine adds"
    finally:
        node.close()
        database.close()


def _access():
    from sluicegate.guard.tokens import ACCESS

    return ACCESS


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_token_made_while_its_owner_is_disabled_is_void(fresh, monkeypatch):
    """The mark is newer than what the token was made from, whatever the order in which the two are seen."""
    who = fresh.people["north", Role.OPERATOR]
    login = fresh.app.services.login
    grant = login.grants.begin

    def slow(*words, **more):
        fresh.scope("north").people().set_state(who.id, "disabled")
        return grant(*words, **more)

    monkeypatch.setattr(login.grants, "begin", slow)
    with pytest.raises(Unauthenticated, match="Sign in again"):  # no family is opened that a refresh could keep alive
        fresh.sign_in(who)
    assert fresh.app.services.system.grants().of(who.id) == []


@pytest.mark.security
@pytest.mark.req("SEC-T11")
def test_silence_stops_changes_and_not_reads_and_ends_by_itself(fresh, monkeypatch):
    editor = fresh.people["north", Role.EDITOR]
    access = fresh.sign_in(editor)["access"]
    revocation, marks = fresh.app.services.revocation, type(fresh.app.services.system.marks())
    later, told = time.time() + STALE + 1, StringIO()
    monkeypatch.setattr(revocation, "_log", Log(told))
    with monkeypatch.context() as patch:
        patch.setattr(marks, "since", lambda *_: (_ for _ in ()).throw(Unavailable("The store does not answer.")))
        patch.setattr(revocation, "_now", lambda: later)
        with pytest.raises(Unavailable, match="nothing is changed"):
            fresh.call("secret.set", {"name": "a", "value": "b"}, access)
        assert fresh.call("flow.list", {}, access) is not None
        wait_for(lambda: "nothing is changed" in told.getvalue())
        time.sleep(2.2)
    began = time.monotonic()
    while time.monotonic() - began < 10:
        try:
            fresh.call("secret.set", {"name": "a", "value": "b"}, access)
            break
        except Unavailable:
            time.sleep(0.1)
    assert fresh.call("secret.list", {}, access).items[0].name == "a"
    wait_for(lambda: told.getvalue().count("\n") > 1)
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [(each["log.level"], each["event.action"]) for each in lines] == [("error", FEED), ("info", FEED)], "once"


@pytest.mark.security
@pytest.mark.req("SEC-T11")
def test_nothing_that_goes_wrong_ends_the_feed(fresh, monkeypatch):
    revocation, told = fresh.app.services.revocation, StringIO()
    monkeypatch.setattr(revocation, "_log", Log(told))
    with monkeypatch.context() as patch:
        patch.setattr(revocation, "pull", lambda: {}[CANARY])  # a traceback shows this line, and not what the word is
        wait_for(lambda: "KeyError" in told.getvalue())
    assert CANARY not in told.getvalue()
    before = revocation._fresh
    wait_for(lambda: revocation._fresh > before)


def wait_for(true):
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.security
def test_what_is_over_is_forgotten(place):
    now = [1000.0]
    revocation = Revocation(place.app.services.system, lambda: now[0])
    revocation._take(Mark(1, "token", "j", 1001.0))
    revocation._take(Mark(2, "family", "s", 900.0))
    revocation._take(Mark(3, "switch", "f", 1001.0))
    assert (set(revocation._over), set(revocation._switched)) == ({"j"}, {"f"})
    now[0] = 1002.0
    revocation._forget()
    assert (revocation._over, revocation._switched) == ({}, {})


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_what_was_just_marked_counts_while_another_thread_is_reading_it(place, monkeypatch):
    services = place.app.services
    token = claims(epo=services.revocation.newest(), jti="just-marked", sid="s")
    node = Revocation(services.system)
    node._marked = threading.Event()  # the event is the process's: this node has one of its own here
    node.pull()
    reading, go = threading.Event(), threading.Event()
    take = node._take

    def slow(mark):
        reading.set()
        go.wait(10)
        take(mark)

    services.system.marks().revoke(token.jti, token.exp)
    monkeypatch.setattr(node, "_take", slow)
    thread = threading.Thread(target=node.pull)
    thread.start()
    assert reading.wait(10)
    threading.Timer(0.2, go.set).start()
    assert node.holds(token) is False
    thread.join()
