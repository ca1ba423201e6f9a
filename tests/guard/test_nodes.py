"""A new root key comes to the servers that are there, to nobody else, and a server without it writes nothing."""

from __future__ import annotations

import json
import time

import pytest

from sluicegate.base.errors import Invalid, Unavailable
from sluicegate.crypto.keys import load_key_file, new_key
from sluicegate.crypto.seal import age
from sluicegate.guard.keyring import Keyring
from sluicegate.guard.nodes import GONE, Nodes
from sluicegate.guard.seals.seal import name_of


@pytest.fixture
def system(fresh):
    return fresh.app.services.system


@pytest.fixture
def root(fresh):
    return load_key_file(fresh.home / "root.key")


@pytest.fixture
def server(root, system):
    """Return a function that makes one more server of the store: its ring and its nodes."""

    def make(now=time.time):
        ring = Keyring(root, system)
        return ring, Nodes(ring, system, shared=True, now=now)

    return make


def renew(ring, nodes, root=None):
    root = root or new_key()
    ring.reseal(root, lambda: nodes.hand(root, {"seal": "file", "root": name_of(root), "made": ""}))
    return root


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_server_that_is_there_goes_on_under_the_new_root_key(server):
    (here, one), (there, other) = server(), server()
    one.announce()
    other.announce()
    made = renew(here, one)
    assert there.moved
    assert there.add() == 2, "what it writes is under the new key"
    assert (there.root, there.moved) == (name_of(made), False)
    assert other.taken.root.raw == made.raw
    assert other.taken.state["root"] == name_of(made)
    here.reload()
    assert here.versions == (1, 2)
    again = renew(there, other)
    here.reload()
    assert here.root == name_of(again), "and back"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_server_that_missed_one_takes_the_next(server):
    (here, one), (there, other) = server(), server()
    other.announce()
    renew(here, one)
    last = renew(here, one)
    there.reload()
    assert there.root == name_of(last)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_server_follows_when_the_root_key_moves_once_more_as_it_looks(server):
    (here, one), (there, other) = server(), server()
    other.announce()
    renew(here, one)
    take, last = there.on_moved, []

    def late(name):
        there.on_moved = take
        last.append(renew(here, one))
        return take(name)

    there.on_moved = late
    there.reload()
    assert there.root == name_of(last[0])


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_request_goes_on_when_another_takes_the_root_key_meanwhile(server):
    (here, one), (there, other) = server(), server()
    other.announce()
    made = renew(here, one)

    def elsewhere(_name):
        there._take(made)

    there.on_moved = elsewhere
    there.reload()
    assert there.root == name_of(made)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_what_was_handed_over_opens_for_nobody_who_copied_all_there_was(server, system, root):
    """Neither the old root key, nor main key and store together: only the memory of a server that was there."""
    (here, one), (_, other), (late, copied) = server(), server(), server()
    other.announce()
    made = renew(here, one)
    assert system.blobs().get("root-handed") is not None
    with pytest.raises(Unavailable, match="has not got the root key") as told:
        late.reload()
    assert "root.seal" in told.value.hint
    assert copied.taken is None
    with pytest.raises(Invalid, match="does not open this store"):
        Keyring(root, system)
    assert made.raw not in b"".join(each for each in (system.blobs().get("root-handed"), system.blobs().get("nodes")))


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_server_without_the_root_key_writes_nothing(server, system):
    (here, one), (late, _) = server(), server()
    renew(here, one)
    before = system.blobs().get("keyring")
    for write in (late.add, lambda: late.drop(frozenset), lambda: late.shred("t"), lambda: late.reseal(new_key()),
                  lambda: late.held("t").__enter__()):  # fmt: skip
        with pytest.raises(Unavailable, match="has not got the root key"):
            write()
    assert system.blobs().get("keyring") == before


@pytest.mark.security
def test_nothing_is_handed_to_who_cannot_prove_to_hold_the_main_key(server, system):
    """Whoever can write to the store alone must not have the root key sealed to an identity of their own."""
    here, one = server()
    identity, recipient = age.new_identity()
    at = time.time()
    forged = {"id": "x", "host": "evil", "to": recipient, "at": at, "proof": "00" * 64}
    _, other = server()
    other.announce()
    honest = json.loads(system.blobs().get("nodes"))[0]
    for entry in (forged, {**honest, "to": recipient}, {**honest, "at": at + 1, "to": recipient}, {"id": 1}, 7):
        system.blobs().put("nodes", json.dumps([entry]).encode())
        assert one.others() == ()
        renew(here, one)
        assert system.blobs().get("root-handed") is None
    for text in (b"[", b"{}", b"[" * 100_000):
        system.blobs().put("nodes", text)
        assert one.others() == ()
    assert identity


@pytest.mark.security
def test_a_root_key_that_is_not_the_stores_is_not_taken(server, system):
    """Somebody who writes to the store cannot lead a server to a key of theirs: it must open the keyring."""
    (here, one), (there, other) = server(), server()
    other.announce()
    renew(here, one)
    system.blobs().put("keyring-root", name_of(new_key()).encode())
    with pytest.raises(Unavailable):
        there.reload()
    system.blobs().put("root-handed", b"age-encryption.org/v1\n")
    with pytest.raises(Unavailable):
        there.reload()


def test_who_has_said_nothing_for_long_is_handed_nothing(server, system):
    (here, one), clock = server(), [time.time() - GONE - 1]
    _, other = server(lambda: clock[0])
    other.announce()
    assert one.others() == ()
    renew(here, one)
    assert system.blobs().get("root-handed") is None
    clock[0] = time.time()
    other.announce()
    assert len(one.others()) == 1
    other._thread = type("Ended", (), {"join": lambda *_: None})()
    other.close()
    assert one.others() == ()


@pytest.mark.security
def test_nothing_is_said_where_no_other_server_can_be(root, system):
    ring = Keyring(root, system)
    alone = Nodes(ring, system, shared=False)
    alone.open()
    renew(ring, alone)
    alone.close()
    assert system.blobs().get("nodes") is system.blobs().get("root-handed") is None


def test_it_looks_by_itself_and_when_it_is_woken(server):
    (here, one), (there, other) = server(), server()
    told = []
    other.on_moved = lambda: (told.append(1), there.reload())
    other.open()
    try:
        renew(here, one)
        other.wake()
        end = time.monotonic() + 20
        while not told and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        other.close()
    assert told
    assert there.root == here.root
