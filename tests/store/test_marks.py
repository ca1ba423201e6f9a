"""Marks: numbered as they become visible, heard of at once, and forgotten when they matter no more."""

from __future__ import annotations

import threading
import time

import pytest

from sluicegate.base.errors import Missing
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.store.database import Database
from sluicegate.store.marks import Kind, Mark

HOUR = 3600.0


def test_marks_are_numbered_as_they_come(system, ours, user):
    marks = system.marks()
    assert [marks.raise_user(user.id), marks.raise_user(user.id), marks.raise_tenant(ours.tenant)] == [1, 2, 1]
    assert [marks.raise_all(), marks.keys_changed(), marks.last()] == [4, 5, 5]
    for ask in (lambda: marks.raise_user(new_id()), lambda: marks.raise_tenant(new_id())):
        with pytest.raises(Missing):
            ask()
    assert marks.last() == 5


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "h")


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_mark_is_announced_when_it_is_committed_and_not_before(system, user):
    marked = system.database.marked
    marked.clear()
    with system.transaction():
        system.marks().raise_user(user.id)
        assert not marked.is_set()
    assert marked.is_set()
    marked.clear()
    with pytest.raises(ZeroDivisionError), system.transaction():
        system.marks().raise_user(user.id)
        1 / 0  # noqa: B018 - what a call that fails does
    assert not marked.is_set()


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_another_process_hears_of_a_mark_at_once(place, system, user):
    """Only PostgreSQL has other processes: there, each has its own connections."""
    if place.kind == "sqlite":
        return
    other, stop = Database(place.url), threading.Event()
    watcher = threading.Thread(target=other.watch, args=(stop,))
    watcher.start()
    try:
        assert other.marked.wait(5), "set once when it starts to listen: what came before has not been heard"
        taken = []
        for _ in range(3):  # a busy machine may be slow once
            other.marked.clear()
            began = time.monotonic()
            system.marks().raise_user(user.id)
            assert other.marked.wait(5)
            taken.append(time.monotonic() - began)
        assert min(taken) < 1
    finally:
        stop.set()
        watcher.join(10)
        other.close()
    assert not watcher.is_alive()


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_every_node_reads_every_mark(system, ours, user, clock):
    marks = system.marks()
    marks.revoke("jti-1", clock.now + 300)
    marks.raise_user(user.id)
    marks.raise_all()
    seen = marks.since(0)
    assert seen == [
        Mark(1, Kind.TOKEN, "jti-1", clock.now + 300, clock.now),
        Mark(2, Kind.USER, user.id, 1, clock.now),
        Mark(3, Kind.ALL, "", 0, clock.now),
    ]
    assert marks.since(2) == seen[2:]
    assert marks.since(0, limit=1) == seen[:1]
    assert (marks.last(), marks.since(3)) == (3, [])


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_reader_never_passes_a_mark_that_is_yet_to_be_seen(system, clock):
    """Numbers given out and committed in another order would hide a revocation from a node for ever."""
    marks, seen, ended = system.marks(), [], threading.Event()

    def read():
        after = 0
        while not ended.is_set() or marks.last() > after:
            for mark in marks.since(after):
                seen.append(mark.seq)
                after = mark.seq

    def write():
        for number in range(10):
            with system.transaction():
                marks.revoke(f"{threading.get_ident()}-{number}", clock.now + 9)

    reader, writers = threading.Thread(target=read), [threading.Thread(target=write) for _ in range(6)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    ended.set()
    reader.join()
    assert seen == list(range(1, 61))


@pytest.mark.security
def test_a_revoked_token_stays_so_until_it_would_have_ended(system, clock):
    marks = system.marks()
    marks.revoke("jti-1", clock.now + 300)
    assert (marks.revoked("jti-1"), marks.revoked("jti-2"), marks.revoked("jti-1", Kind.FAMILY)) == (True, False, False)
    clock.now += 300
    assert marks.revoked("jti-1") is False


@pytest.mark.security
def test_purging_never_lets_a_number_come_twice(system, clock):
    marks = system.marks()
    marks.raise_all()
    marks.revoke("a", clock.now + 1)
    marks.revoke("b", clock.now + 1)
    clock.now += 2
    assert marks.purge() == 1
    assert [mark.seq for mark in marks.since(0)] == [1, 3]
    marks.revoke("c", clock.now + 1)
    assert marks.last() == 4
    clock.now += 2
    assert marks.purge() == 1
    assert [mark.seq for mark in marks.since(0)] == [1, 4]


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_switch_is_remembered_for_as_long_as_a_token_of_before_could_live(system, clock):
    marks = system.marks()
    assert marks.switch("family", clock.now + 300) == marks.last() == 1
    marks.raise_all()
    clock.now += 299
    assert marks.purge() == 0
    clock.now += 1
    assert marks.purge() == 1
