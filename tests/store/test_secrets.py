"""Sealed secrets and keys."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Conflict, Missing
from sluicegate.store.secrets import SecretBrief, StoredSecret


@pytest.fixture
def secrets(ours):
    return ours.secrets()


def test_a_secret_comes_back_sealed(secrets, clock):
    assert secrets.next_version("s") == 1
    assert secrets.put("s", b"\0wrapped", b"\xffcipher", "fp") == 1
    assert secrets.get("s") == StoredSecret("s", 1, b"\0wrapped", b"\xffcipher", "fp", clock.now, "admin-of-ours")
    assert secrets.list() == [SecretBrief("s", 1, "fp", clock.now, "admin-of-ours")]


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
    secrets.put("t", b"canary-w2", b"canary-c2", "canary-f2")
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


def test_tenant_keys(secrets):
    assert secrets.tenant_key() is None
    secrets.put_tenant_key(1, b"k1")
    with pytest.raises(Conflict):
        secrets.put_tenant_key(1, b"other")
    assert secrets.tenant_key() == (1, b"k1")
    secrets.put_tenant_key(2, b"k2")
    assert secrets.tenant_key() == (2, b"k2")
