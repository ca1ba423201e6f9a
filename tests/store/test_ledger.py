"""The audit trail."""

from __future__ import annotations

import hashlib
import threading

import pytest

from sluicegate.store import ledger as module
from sluicegate.store.database import pack
from sluicegate.store.ledger import GENESIS


def chain(previous, body):
    return hashlib.sha256(previous + pack(body).encode()).digest()


def verify(ledger):
    link = GENESIS
    count = 0
    for count, (seq, body, stored) in enumerate(ledger.all(), 1):
        link = chain(link, body)
        assert (seq, stored) == (count, link)
    return count


@pytest.fixture
def ledger(ours):
    return ours.ledger()


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_each_row_covers_the_one_before(ledger, monkeypatch):
    monkeypatch.setattr(module, "_PAGE", module._ENTRY.where(module.audit.c.seq > module.bindparam("after"))
                        .order_by(module.audit.c.seq).limit(3))  # fmt: skip
    monkeypatch.setattr(module, "PAGE", 3)
    assert ledger.head() == (0, GENESIS)
    bodies = [{"action": f"a{number}", "who": {"id": "u"}, "z": "ü\0", "a": [0.1]} for number in range(7)]
    assert [ledger.append(body, chain) for body in bodies] == list(range(1, 8))
    assert [body for _, body, _ in ledger.all()] == bodies
    assert verify(ledger) == 7
    assert ledger.head()[0] == 7


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_many_writers_keep_one_chain(ledger, system):
    def work():
        for number in range(5):
            ledger.append({"action": "a", "n": number}, chain)
            system.ledger().append({"action": "s", "n": number}, chain)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (verify(ledger), verify(system.ledger())) == (50, 50)


@pytest.mark.security
def test_a_chain_that_fails_leaves_no_row(ledger):
    def broken(_previous, _body):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ledger.append({"action": "a"}, broken)
    assert ledger.head() == (0, GENESIS)


def test_pages_and_filters(ledger, clock):
    for number in range(6):
        ledger.append({"action": "xy"[number % 2], "who": {"id": "u1"} if number < 3 else "u2"}, chain)
    assert [entry.seq for entry in ledger.list(2)] == [6, 5]
    assert [entry.seq for entry in ledger.list(2, before=5)] == [4, 3]
    assert [entry.seq for entry in ledger.list(action="x")] == [5, 3, 1]
    assert [entry.seq for entry in ledger.list(who="u1", action="y")] == [2]
    first = ledger.list(1, before=2)[0]
    assert (first.at, first.body, first.link) == (clock.now, {"action": "x", "who": {"id": "u1"}},
                                                   chain(GENESIS, first.body))  # fmt: skip


@pytest.mark.security
def test_a_change_and_its_audit_row_happen_together_or_not_at_all(ours):
    with pytest.raises(RuntimeError), ours.transaction():
        ours.secrets().put("s", b"w", b"c", "fp")
        ours.ledger().append({"action": "secret.set"}, chain)
        raise RuntimeError
    assert ours.secrets().list() == []
    assert ours.ledger().head() == (0, GENESIS)
    with ours.transaction():
        ours.secrets().put("s", b"w", b"c", "fp")
        ours.ledger().append({"action": "secret.set"}, chain)
    assert len(ours.secrets().list()) == ours.ledger().head()[0] == 1
