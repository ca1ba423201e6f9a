"""The keyring: opened by the root key, shared by nodes."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.crypto.keys import load_key_file, new_key
from sluicegate.guard.keyring import Keyring


@pytest.fixture
def root(fresh):
    return load_key_file(fresh.home / "root.key")


@pytest.fixture
def system(fresh):
    return fresh.app.services.system


def test_it_is_made_once_and_is_not_the_root_key(root, system):
    one, two = Keyring(root, system), Keyring(root, system)
    assert one.main.raw == two.main.raw != root.raw
    assert one.vault(1).raw == two.vault(1).raw
    assert one.versions == (1,)


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_it_is_sealed_and_only_its_root_key_opens_it(root, system):
    ring = Keyring(root, system)
    blob = system.blobs().get("keyring")
    for key in (ring.main, ring.vault(1), root):
        assert key.raw not in blob
    with pytest.raises(Invalid, match="the root key does not open this store"):
        Keyring(new_key(), system)
    assert system.blobs().get("keyring") == blob, "a wrong key has made a ring of its own"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_vault_keys_come_and_go_and_every_node_knows_them(root, system):
    here, there = Keyring(root, system), Keyring(root, system)
    assert here.add() == here.newest == 2
    assert there.vault(2).raw == here.vault(2).raw
    assert here.drop(lambda: frozenset({1})) == ()
    assert here.versions == (1, 2), "what is used stays"
    assert here.drop(frozenset) == (1,)
    assert here.versions == (2,), "the newest one stays"
    with pytest.raises(Corrupt):
        here.vault(1)
    assert Keyring(root, system).versions == (2,)
    with pytest.raises(Corrupt):
        here.vault(9)


def test_two_that_add_at_once_make_two(root, system):
    rings = [Keyring(root, system) for _ in range(4)]
    threads = [threading.Thread(target=ring.add) for ring in rings]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Keyring(root, system).versions == (1, 2, 3, 4, 5)


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_no_ring_is_made_over_a_store_that_holds_something(root, system):
    system.blobs().take("keyring")
    for key in (root, new_key()):
        with pytest.raises(Invalid, match="holds data and no keyring"):
            Keyring(key, system)
    assert system.blobs().get("keyring") is None


@pytest.mark.security
def test_a_ring_that_was_tampered_with_stops_the_start(root, system):
    blob = bytearray(system.blobs().get("keyring"))
    blob[-1] ^= 1
    system.blobs().put("keyring", bytes(blob))
    with pytest.raises(Invalid, match="does not open"):
        Keyring(root, system)
