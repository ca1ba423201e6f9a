"""The root key is replaced while everybody works: whole, or not at all, and the one before opens nothing."""

from __future__ import annotations

import pytest

from sluicegate.app import build, sealed_gate
from sluicegate.base.errors import Conflict, Denied, Invalid, Sealed, Unavailable
from sluicegate.base.principal import Peer
from sluicegate.base.seals import Passphrase
from sluicegate.base.secret import Secret
from sluicegate.crypto.signing import verify
from sluicegate.guard.sealfile import KEY_FILE, NEXT_FILE, SEAL_FILE, SealFile
from sluicegate.guard.vault import canonical
from tests.fixtures.unsealing import WORDS

HERE = Peer("192.0.2.1")


@pytest.fixture
def sealing(fresh):
    fresh.app.services.vault.put(fresh.scope("north"), "word", Secret("kept"))
    return fresh.app.services.sealing


def word(app, fresh):
    scope = app.services.scope(fresh.tenants["north"], fresh.scope("north").who)
    return app.services.vault.use(scope, "word", purpose="a test").reveal()


def again(fresh, root=None):
    """Start the installation anew and return what the secret is."""
    fresh.app.services.system.database.close()
    app = build(fresh.settings, root)
    try:
        return word(app, fresh)
    finally:
        app.services.system.database.close()


def opened(fresh, shares):
    """Return the root key that a sealed server is opened with."""
    found = []
    gate = sealed_gate(fresh.settings, found.append)
    for each in shares:
        gate.give(each, HERE)
    return found[0] if found else None


@pytest.mark.security
@pytest.mark.req("SEC-V05", "SEC-V06")
def test_from_a_key_file_to_shares_and_back(fresh, sealing):
    old = (fresh.home / KEY_FILE).read_bytes()
    shares = sealing.begin("shamir", None)
    assert (sealing.standing().kind, sealing.standing().pending) == ("file", True)
    assert (fresh.home / KEY_FILE).read_bytes() == old, "nothing changes before the shares have come back"
    with pytest.raises(Denied, match="do not open"):
        sealing.confirm(shares[:2])
    with pytest.raises(Invalid, match="no share"):
        sealing.confirm((*shares[:2], Secret("x")))
    sealing.confirm(shares[1:4])
    assert word(fresh.app, fresh) == "kept"
    assert (sealing.standing().kind, sealing.standing().shares, sealing.standing().threshold) == ("shamir", 5, 3)
    assert not (fresh.home / KEY_FILE).exists()
    with pytest.raises(Sealed):
        build(fresh.settings)
    assert again(fresh, opened(fresh, shares[2:])) == "kept"
    (fresh.home / SEAL_FILE).rename(fresh.home / "aside")
    (fresh.home / KEY_FILE).write_bytes(old)
    (fresh.home / KEY_FILE).chmod(0o600)
    with pytest.raises(Invalid, match="the root key does not open this store"):
        build(fresh.settings)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_what_was_destroyed_is_certified(fresh, sealing):
    before = sealing.standing().root
    after = sealing.renew()
    (told,) = [each["about"] for each in fresh.records(None) if each["action"] == "seal.retire"]
    assert (told["root"], told["replaced_by"], told["seal"]) == (before, after, "file")
    assert verify(fresh.app.services.vault.public, canonical(told), told["signature"])
    assert not verify(fresh.app.services.vault.public, canonical({**told, "root": "x"}), told["signature"])
    assert again(fresh) == "kept"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_new_root_key_leaves_shares_and_passphrase_as_they_are(fresh, sealing):
    shares = sealing.begin("shamir", None)
    sealing.confirm(shares[:3])
    sealing.renew()
    assert again(fresh, opened(fresh, shares[2:])) == "kept"


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_to_a_passphrase(fresh, sealing):
    object.__setattr__(sealing._settings, "passphrase", Passphrase(memory=19456, rounds=2))
    for kind, given in (("passphrase", None), ("shamir", Secret(WORDS)), ("file", Secret(WORDS))):
        with pytest.raises(Invalid, match="a passphrase goes with"):
            sealing.begin(kind, given)
    assert sealing.begin("passphrase", Secret(WORDS)) == ()
    assert again(fresh, opened(fresh, (Secret(WORDS),))) == "kept"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
@pytest.mark.parametrize("where", ["before the store", "before the file", "in the store"])
def test_cut_off_it_is_undone_or_finished_at_the_next_start(fresh, sealing, monkeypatch, where):
    before = sealing.standing().root
    place = {
        "before the store": "sluicegate.guard.keyring.Keyring.reseal",
        "in the store": "sluicegate.store.scope.Blobs.take",
        "before the file": "sluicegate.guard.sealfile.SealFile.settle",
    }[where]

    def cut(*_given, **_more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place, cut)
        with pytest.raises(KeyboardInterrupt):
            sealing.renew()
    assert (fresh.home / NEXT_FILE).exists()
    assert again(fresh) == "kept"
    file = SealFile(fresh.home)
    assert file.pending() is None
    assert (file.read()["root"] == before) == (where != "before the file")


@pytest.mark.security
def test_the_settings_can_pin_the_seal(fresh, sealing):
    object.__setattr__(sealing._settings, "vault", sealing._settings.vault.model_copy(update={"seal": "file"}))
    with pytest.raises(Invalid, match="vault.seal is file"):
        sealing.begin("shamir", None)
    sealing.begin("file", None)
    pinned = fresh.settings.model_copy(update={"vault": fresh.settings.vault.model_copy(update={"seal": "shamir"})})
    fresh.app.services.system.database.close()
    with pytest.raises(Invalid, match=r"vault\.seal is shamir, and this installation is sealed by file"):
        build(pinned)


@pytest.mark.security
def test_shares_of_a_ceremony_that_was_left_open_nothing(fresh, sealing):
    with pytest.raises(Conflict, match="No shares"):
        sealing.confirm(())
    first = sealing.begin("shamir", None)
    second = sealing.begin("shamir", None)
    with pytest.raises(Invalid, match="of another set"):
        sealing.confirm(first[:3])
    assert again(fresh) == "kept"
    assert SealFile(fresh.home).pending() is None
    assert second


def test_only_who_was_started_by_serve_can_be_sealed_and_only_when_people_open_it(fresh, sealing):
    with pytest.raises(Conflict, match="opens by itself"):
        sealing.close()
    shares = sealing.begin("shamir", None)
    sealing.confirm(shares[:3])
    with pytest.raises(Conflict, match="sluice serve"):
        sealing.close()
    told = []
    sealing.on_close = lambda: told.append(1)
    sealing.close()
    assert told == [1]


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_change_that_the_file_has_not_taken_is_finished_before_the_next_begins(fresh, sealing, monkeypatch):
    """The only copy of the root key that the store is under stands in what the next change would drop."""

    def busy():
        raise Unavailable("The store does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(fresh.app.services.system.database, "flush", busy)
        with pytest.raises(Unavailable):
            sealing.renew()
        with pytest.raises(Unavailable):
            sealing.begin("shamir", None)
        assert SealFile(fresh.home).pending()["root"] == sealing._ring.root
    sealing.begin("shamir", None)
    assert SealFile(fresh.home).read()["root"] == sealing._ring.root
    assert again(fresh) == "kept"


@pytest.mark.security
def test_what_fails_in_the_store_leaves_a_server_that_works(fresh, sealing, monkeypatch):
    def cut(*_given):
        raise Unavailable("The store does not answer.")

    before = sealing.standing().root
    with monkeypatch.context() as patch:
        patch.setattr("sluicegate.store.scope.Blobs.take", cut)
        with pytest.raises(Unavailable):
            sealing.renew()
    sealing._ring.reload()
    assert sealing._ring.root == sealing.standing().root == before
    assert word(fresh.app, fresh) == "kept"
    assert sealing.renew() != before
    assert again(fresh) == "kept"
