"""Sealed secrets and keys."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Conflict, Missing
from sluicegate.store.secrets import SecretBrief, StoredKey, StoredSecret


@pytest.fixture
def secrets(ours):
    return ours.secrets()


def test_a_secret_comes_back_sealed(secrets, clock):
    assert secrets.next_version("s") == 1
    assert secrets.put("s", b"\0wrapped", b"\xffcipher", "fp") == 1
    assert secrets.get("s") == StoredSecret("s", 1, 1, b"\0wrapped", b"\xffcipher", "fp", clock.now, "admin-of-ours")
    assert secrets.list() == [SecretBrief("s", 1, "fp", clock.now, "admin-of-ours")]
    secrets.put("s", b"w", b"c", "fp", reference="bao:a#b")
    assert (secrets.get("s").reference, secrets.list()[0].reference) == ("bao:a#b", "bao:a#b")
    secrets.put("s", b"w", b"c", "fp")
    assert secrets.get("s").reference == ""


@pytest.mark.security
def test_sealed_bytes_are_not_printed(secrets):
    secrets.put("s", b"canary-wrapped", b"canary-cipher", "fp")
    assert "canary" not in repr(secrets.get("s"))


@pytest.mark.security
@pytest.mark.req("SEC-V04")
def test_versions_rise_past_deletion_and_are_never_used_again(secrets):
    assert [secrets.put("s", b"w", b"c", "fp") for _ in range(3)] == [1, 2, 3]
    secrets.delete("s")
    assert secrets.next_version("s") == 4
    assert secrets.put("s", b"w", b"c", "fp") == 4
    assert secrets.get("s").version == 4


@pytest.mark.security
def test_nothing_of_an_old_or_deleted_secret_stays(secrets, place):
    secrets.put("s", b"canary-w1", b"canary-c1", "canary-f1")
    secrets.put("s", b"w2", b"c2", "f2")
    secrets.put("t", b"canary-w2", b"canary-c2", "canary-f2", reference="bao:canary#r")
    secrets.delete("t")
    with place.raw() as raw:
        assert b"canary" not in repr(raw.execute("select * from secrets").fetchall()).encode()
    for gone in (lambda: secrets.get("t"), lambda: secrets.delete("t"), lambda: secrets.get("u")):
        with pytest.raises(Missing):
            gone()
    assert [brief.name for brief in secrets.list()] == ["s"]


@pytest.mark.security
def test_a_secret_sealed_for_a_version_that_is_taken_is_refused(secrets):
    version = secrets.next_version("s")
    secrets.put("s", b"theirs", b"theirs", "fp")
    with pytest.raises(Conflict):
        secrets.put("s", b"mine", b"mine", "fp", version=version)
    assert secrets.get("s").ciphertext == b"theirs"


@pytest.mark.security
def test_seal_and_put_in_one_transaction_never_mixes_versions(ours):
    def work():
        for _ in range(5):
            with ours.transaction():
                version = ours.secrets().next_version("s")
                assert ours.secrets().put("s", b"w", str(version).encode(), "fp", version=version) == version

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ours.secrets().get("s")
    assert (found.version, found.ciphertext) == (40, b"40")


def test_tenant_keys(secrets, clock):
    assert secrets.tenant_keys() == ()
    secrets.put_tenant_key(1, b"k1")
    with pytest.raises(Conflict):
        secrets.put_tenant_key(1, b"other")
    secrets.put_tenant_key(2, b"k2", above=3)
    assert secrets.tenant_keys() == (StoredKey(1, 1, b"k1", clock.now), StoredKey(2, 3, b"k2", clock.now))
    secrets.rewrap_tenant_key(1, b"anew", above=3)
    assert secrets.tenant_keys()[0] == StoredKey(1, 3, b"anew", clock.now)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_key_is_dropped_only_when_no_secret_is_under_it(secrets):
    for version in (1, 2):
        secrets.put_tenant_key(version, b"k")
    secrets.put("s", b"w", b"c", "fp", key=1)
    with pytest.raises(Conflict):
        secrets.drop_tenant_key(1)
    assert len(secrets.tenant_keys()) == 2
    secrets.delete("s")
    assert (secrets.drop_tenant_key(1), secrets.drop_tenant_key(1)) == (True, False)
    assert [each.version for each in secrets.tenant_keys()] == [2]


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_secrets_are_put_under_another_key_unless_somebody_was_quicker(secrets):
    for name in ("a", "b", "c", "gone"):
        secrets.put(name, b"old", b"c", "fp", key=1)
    secrets.put("new", b"w", b"c", "fp", key=2)
    secrets.delete("gone")
    found = secrets.elsewhere(2, 10)
    assert {(each.name, each.key, each.wrapped) for each in found} == {(name, 1, b"old") for name in "abc"}
    assert len(secrets.elsewhere(2, 2)) == 2
    secrets.put("b", b"quicker", b"c", "fp", key=1)
    secrets.rewrap([each._replace(wrapped=b"anew") for each in found], 2)
    assert {name: (secrets.get(name).key, secrets.get(name).wrapped) for name in "abc"} == {
        "a": (2, b"anew"),
        "b": (1, b"quicker"),
        "c": (2, b"anew"),
    }
    assert secrets.under() == {1: 1, 2: 3}
