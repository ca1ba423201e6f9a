"""Keys are replaced in the background: all that is due is done, also after a stop in the middle."""

from __future__ import annotations

import threading
import time

import pytest

from sluicegate.base.errors import Corrupt, Unavailable
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import load_key_file
from sluicegate.crypto.signing import verify
from sluicegate.guard import vault as vaults
from sluicegate.guard.keyring import Keyring


@pytest.fixture
def rotation(fresh):
    return fresh.app.services.rotation


def fill(place, count=5):
    vault = place.app.services.vault
    for tenant in ("north", "south"):
        for number in range(count):
            vault.put(place.scope(tenant), f"s{number}", Secret(f"{tenant} {number}"))


def whole(place, count=5):
    vault = place.app.services.vault
    return all(
        vault.use(place.scope(tenant), f"s{number}", purpose="a test").reveal() == f"{tenant} {number}"
        for tenant in ("north", "south")
        for number in range(count)
    )


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_tenants_key_is_replaced_and_no_other_tenants(fresh, rotation):
    fill(fresh)
    assert rotation.renew_tenant(fresh.scope("north")) == 2
    rotation.sweep()
    versions = {each: [key.version for key in fresh.scope(each).secrets().tenant_keys()] for each in ("north", "south")}
    assert versions == {"north": [2], "south": [1]}
    assert whole(fresh)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_the_key_above_all_is_replaced_and_destroyed(fresh, rotation):
    fill(fresh)
    ring, scope = fresh.app.services.vault._ring, fresh.scope("north")
    old, before = ring.vault(1, scope.tenant), scope.secrets().tenant_keys()[0]
    assert rotation.renew_installation() == 2
    rotation.sweep()
    after = scope.secrets().tenant_keys()[0]
    assert (ring.versions, after.above, after.version) == ((2,), 2, before.version)
    with pytest.raises(Corrupt):
        envelope.unwrap(old, after.wrapped, vaults.Vault._key_aad(scope, 1, 2))
    assert whole(fresh)
    (told,) = [each["about"] for each in fresh.records(None) if each["action"] == "vault.retire"]
    assert (told["kind"], told["vault_key"], told["replaced_by"]) == ("vault-key-destruction", 1, 2)
    assert verify(fresh.app.services.vault.public, vaults.canonical(told), told["signature"])


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_key_whose_certificate_cannot_be_written_is_not_destroyed(fresh, rotation, monkeypatch):
    fill(fresh)
    rotation.renew_installation()
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_certify", lambda _version: (_ for _ in ()).throw(Unavailable("the trail")))
        with pytest.raises(Unavailable):
            rotation.sweep()
    assert Keyring(load_key_file(fresh.home / "root.key"), fresh.app.services.system).versions == (1, 2)
    rotation.sweep()
    assert rotation._ring.versions == (2,)
    assert [each["action"] for each in fresh.records(None)].count("vault.retire") == 1


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_what_was_cut_off_in_the_middle_goes_on(fresh, rotation, monkeypatch):
    fill(fresh)
    scope, calls = fresh.scope("north"), []
    real = vaults.Vault.rewrap

    def cut(self, scope, most=2, after=""):
        calls.append(1)
        if len(calls) == 2:
            raise Unavailable("cut off")
        return real(self, scope, 2, after)

    rotation.renew_tenant(scope)
    rotation.renew_installation()
    with monkeypatch.context() as patch:
        patch.setattr(vaults.Vault, "rewrap", cut)
        with pytest.raises(Unavailable):
            rotation.sweep()
    assert scope.secrets().under() == {1: 3, 2: 2}
    assert whole(fresh)
    rotation.sweep()
    assert scope.secrets().under() == {2: 5}
    assert [each.above for each in scope.secrets().tenant_keys()] == [2]
    assert whole(fresh)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_it_happens_by_itself_once_it_is_asked_for(fresh, rotation):
    fill(fresh)
    rotation.open()
    try:
        rotation.renew_tenant(fresh.scope("south"))
        end = time.monotonic() + 30
        while [each.version for each in fresh.scope("south").secrets().tenant_keys()] != [2]:
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        rotation.close()
    assert whole(fresh)
    assert "rotation" not in {each.name for each in threading.enumerate()}


def test_a_store_that_does_not_answer_is_asked_again(fresh, rotation, monkeypatch, caplog):
    told = []

    def fail():
        told.append(1)
        raise Unavailable("the store does not answer")

    monkeypatch.setattr(rotation, "sweep", fail)
    rotation.open()
    end = time.monotonic() + 30
    while not told and time.monotonic() < end:
        time.sleep(0.01)
    rotation.close()
    assert told
    assert "tried again: Unavailable" in caplog.text


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_secret_that_does_not_verify_holds_up_nothing_but_the_key_it_is_under(fresh, rotation):
    fill(fresh)
    scope, south = fresh.scope("north"), fresh.scope("south")
    scope.secrets().put("s1", b"broken", b"broken", "")
    rotation.renew_tenant(scope)
    rotation.renew_tenant(south)
    rotation.renew_installation()
    rotation.sweep()
    assert scope.secrets().under() == {1: 1, 2: 4}
    assert [each.version for each in scope.secrets().tenant_keys()] == [1, 2]
    assert [(each.version, each.above) for each in south.secrets().tenant_keys()] == [(2, 2)]
    told = [each["about"] for each in fresh.records() if each["action"] == "vault.rewrap"]
    assert told == [{"name": "s1", "version": 2, "key": 1}]
    rotation.sweep()
    assert len([each for each in fresh.records() if each["action"] == "vault.rewrap"]) == 1, "it is told once"
    scope.secrets().delete("s1")
    rotation.sweep()
    assert [each.version for each in scope.secrets().tenant_keys()] == [2]


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_one_tenants_trouble_holds_up_no_other(fresh, rotation):
    fill(fresh)
    fresh.scope("north").secrets().rewrap_tenant_key(1, b"broken", 1)
    fresh.app.services.vault._held.clear()
    rotation.renew_tenant(fresh.scope("south"))
    ring = fresh.app.services.vault._ring
    rotation.renew_installation()
    with pytest.raises(Corrupt):
        rotation.sweep()
    assert [each.version for each in fresh.scope("south").secrets().tenant_keys()] == [2]
    assert ring.versions == (1, 2), "north's key says that it is under the first"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_node_that_has_not_heard_of_a_new_key_puts_nothing_under_one_that_is_gone(fresh, rotation):
    services = fresh.app.services
    root = load_key_file(fresh.home / "root.key")
    late = vaults.Vault(Keyring(root, services.system), services.audit)
    rotation.renew_installation()
    rotation.sweep()
    assert services.vault._ring.versions == (2,)
    late.put(fresh.scope("north"), "s", Secret("of a node that was late"))
    assert fresh.scope("north").secrets().tenant_keys()[0].above == 2
    anew = vaults.Vault(Keyring(root, services.system), services.audit)
    assert anew.use(fresh.scope("north"), "s", purpose="a test").reveal() == "of a node that was late"
