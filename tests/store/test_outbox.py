"""Mails that wait, on both databases."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.store import outbox as module
from sluicegate.store.outbox import KEPT, State


@pytest.fixture
def user(ours):
    return ours.people().create("a@b.c", "A", Role.EDITOR, "h")


@pytest.fixture
def outbox(system):
    return system.outbox()


@pytest.fixture
def add(outbox, user, clock):
    def make(kind="reset", recipient="a@b.c", tenant=user.tenant, who=user.id):
        id_ = new_id()
        outbox.add(id_, b"sealed", kind, recipient, clock.now + 900, tenant, who)
        return id_

    return make


def test_a_mail_is_claimed_sent_and_what_was_in_it_gone(outbox, add, ours, clock):
    id_ = add()
    post = outbox.claim(60)
    assert (post.id, post.tries, post.state, post.sealed) == (id_, 1, State.WAITING, b"sealed")
    assert outbox.claim(60) is None, "it is somebody's for 60 seconds"
    outbox.end(post, "sent")
    (shown,) = ours.outbox().list()
    assert (shown.state, shown.sealed, shown.ended) == (State.SENT, b"", clock.now)
    assert outbox.last().id == id_


def test_what_a_killed_process_was_at_comes_again_and_its_late_word_counts_no_more(outbox, add, clock):
    add()
    first = outbox.claim(60)
    clock.now += 60
    second = outbox.claim(60)
    assert (second.id, second.tries) == (first.id, 2)
    outbox.end(first, "failed", "late")
    outbox.again(second, clock.now + 30, "later")
    assert outbox.claim(60) is None
    clock.now += 30
    assert outbox.claim(60).tries == 3


def test_the_mail_that_is_due_longest_comes_first(outbox, add, clock):
    first = add()
    clock.now += 1
    second = add()
    assert [outbox.claim(60).id, outbox.claim(60).id, outbox.claim(60)] == [first, second, None]


@pytest.mark.security
def test_of_many_at_once_one_gets_a_mail(outbox, add):
    add()
    got, barrier = [], threading.Barrier(6)

    def claim():
        barrier.wait()
        got.append(outbox.claim(60))

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each is not None for each in got].count(True) == 1


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_a_tenant_sees_its_own_mails_and_no_questions_of_strangers(outbox, add, ours, theirs):
    id_ = add()
    add(recipient="", tenant=None, who=None)
    assert [each.id for each in ours.outbox().list()] == [id_]
    assert theirs.outbox().list() == []
    assert theirs.outbox().newest(["reset"]) == {}


def test_the_newest_mail_of_each_user_is_found_by_kind(outbox, add, user, ours, clock):
    add()
    newest = add("invitation")
    add("test")
    assert {key: each.id for key, each in ours.outbox().newest(["reset", "invitation"]).items()} == {user.id: newest}


def test_pages_follow_each_other(add, ours):
    made = [add() for _ in range(5)]
    first = ours.outbox().list(2)
    assert len(first) == 2
    rest = ours.outbox().list(10, first[-1].id)
    assert sorted(each.id for each in [*first, *rest]) == sorted(made)


@pytest.mark.security
def test_a_flood_ends_at_a_number(outbox, add, monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    add()
    add()
    with pytest.raises(Throttled):
        add()
    outbox.end(outbox.claim(60), "sent")
    add()


@pytest.mark.security
def test_one_tenant_that_floods_leaves_room_for_others(outbox, add, theirs, monkeypatch):
    monkeypatch.setattr(module, "SHARE_MAX", 2)
    for where in (
        {},
        {"tenant": theirs.tenant, "who": None},
        {"tenant": None, "who": None},
        {"recipient": "", "tenant": None},
    ):
        add(**where)
        add(**where)
        with pytest.raises(Throttled):
            add(**where)
    outbox.end(outbox.claim(60), "sent")
    add()


def test_what_was_withdrawn_says_nothing_of_the_relay(outbox, add, ours, clock):
    add()
    outbox.end(outbox.claim(60), "failed", "why")
    clock.now += 1
    add()
    outbox.end(outbox.claim(60), "withdrawn")
    assert outbox.last().state == State.FAILED
    assert [each.state for each in ours.outbox().list()] == [State.WITHDRAWN, State.FAILED]


def test_what_is_over_for_long_is_forgotten_and_what_waits_stays(outbox, add, ours, clock):
    add()
    outbox.end(outbox.claim(60), "failed", "why")
    add()
    outbox.drop(outbox.claim(60))
    kept = add()
    clock.now += KEPT
    assert outbox.purge() == 1
    assert [each.id for each in ours.outbox().list()] == [kept]
    assert outbox.last() is None
