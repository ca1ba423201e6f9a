"""The keyring: opened by the root key, shared by nodes."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from sluicegate.base.errors import Corrupt, Invalid, Missing, Unavailable
from sluicegate.crypto.keys import load_key_file, new_key
from sluicegate.guard import keyring
from sluicegate.guard.keyring import Keyring
from sluicegate.guard.seals.seal import name_of


@pytest.fixture
def root(fresh):
    return load_key_file(fresh.home / "root.key")


@pytest.fixture
def system(fresh):
    return fresh.app.services.system


def test_it_is_made_once_and_is_not_the_root_key(root, system):
    one, two = Keyring(root, system), Keyring(root, system)
    assert one.main.raw == two.main.raw != root.raw
    with one.held("t"):
        pass
    assert one.vault(1, "t").raw == two.vault(1, "t").raw
    assert one.versions == (1,)


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_it_is_sealed_and_only_its_root_key_opens_it(root, system):
    ring = Keyring(root, system)
    blob = system.blobs().get("keyring")
    with ring.held("t"):
        pass
    blob = system.blobs().get("keyring")
    for key in (ring.main, ring._ring.vault[1], ring._ring.tenants["t"], ring.vault(1, "t"), root):
        assert key.raw not in blob
    with pytest.raises(Invalid, match="the root key does not open this store"):
        Keyring(new_key(), system)
    assert system.blobs().get("keyring") == blob, "a wrong key has made a ring of its own"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_vault_keys_come_and_go_and_every_node_knows_them(root, system):
    here, there = Keyring(root, system), Keyring(root, system)
    with here.held("t"):
        pass
    assert here.add() == here.newest == 2
    assert there.vault(2, "t").raw == here.vault(2, "t").raw
    assert here.drop(lambda: frozenset({1})) == ()
    assert here.versions == (1, 2), "what is used stays"
    assert here.drop(frozenset) == (1,)
    assert here.versions == (2,), "the newest one stays"
    with pytest.raises(Corrupt):
        here.vault(1, "t")
    assert Keyring(root, system).versions == (2,)
    with pytest.raises(Corrupt):
        here.vault(9, "t")
    with pytest.raises(Corrupt):
        here.vault(2, "of nobody")


@pytest.mark.security
@pytest.mark.req("SEC-V09")
def test_each_tenant_is_under_a_key_of_its_own_that_can_be_taken_off(root, system):
    here, there = Keyring(root, system), Keyring(root, system)
    for tenant in ("north", "south"):
        with here.held(tenant):
            pass
    assert here.vault(1, "north").raw != here.vault(1, "south").raw
    assert there.vault(1, "north").raw == here.vault(1, "north").raw
    here.shred("north")
    assert here.tenants == {"south"}
    for ring in (here, Keyring(root, system)):
        with pytest.raises(Corrupt):
            ring.vault(1, "north")
        assert ring.vault(1, "south").raw == there.vault(1, "south").raw
    with pytest.raises(Missing):
        here.shred("north")


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_ring_under_another_root_key_opens_by_that_one_alone(root, system):
    ring, other = Keyring(root, system), new_key()
    main, before = ring.main.raw, system.blobs().get("keyring")
    ring.reseal(other)
    assert Keyring(other, system).main.raw == ring.main.raw == main
    ring.reload()
    with pytest.raises(Invalid, match="does not open") as told:
        Keyring(root, system)
    assert name_of(other) in told.value.hint
    system.blobs().put("keyring", before)
    with pytest.raises(Invalid, match="does not open"):
        Keyring(other, system)


def test_a_reseal_that_is_cut_off_leaves_the_ring_as_it_was(root, system, monkeypatch):
    ring = Keyring(root, system)
    with monkeypatch.context() as patch:
        patch.setattr(type(ring), "_write", lambda *_: (_ for _ in ()).throw(Unavailable("cut off")))
        with pytest.raises(Unavailable):
            ring.reseal(new_key())
    ring.reload()
    assert (ring.root, ring.add()) == (name_of(root), 2)


def test_a_ring_from_before_tenants_had_keys_gets_a_vault_key_that_takes_them_in(root, system):
    ring = Keyring(root, system)
    old = replace(ring._ring, plain=1)
    system.blobs().put("keyring", keyring._sealed(ring._seal, old))
    anew = Keyring(root, system)
    assert anew.versions == (1, 2)
    with anew.held("t"):
        pass
    assert anew.vault(1, "t").raw == anew._ring.vault[1].raw
    assert anew.vault(2, "t").raw != anew._ring.vault[2].raw


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
