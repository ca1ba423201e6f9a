"""The root key is replaced while everybody works: whole, or not at all, and the one before opens nothing."""

from __future__ import annotations

import errno
import shutil
import threading

import pytest

from sluicegate.app import build, sealed_gate
from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, Sealed, Unavailable
from sluicegate.base.principal import Peer
from sluicegate.base.seals import Passphrase
from sluicegate.base.secret import Secret
from sluicegate.crypto.signing import verify
from sluicegate.guard.keyring import Keyring
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


def full(*_):
    raise OSError(errno.ENOSPC, "full")


class Other:
    """Another server of the same store, with a home of its own."""

    def __init__(self, fresh):
        self.home = fresh.home.with_name(f"{fresh.home.name}-other")
        shutil.copytree(fresh.home, self.home)
        store = fresh.settings.store.model_copy(update={"url": Secret(fresh.settings.store_url)})
        self.settings = fresh.settings.model_copy(update={"home": self.home, "store": store})
        self.app = build(self.settings)
        for each in (fresh.app, self.app):
            each.services.nodes._shared = True
            each.services.nodes.announce()


@pytest.fixture
def other(fresh, sealing):
    made = Other(fresh)
    yield made
    made.app.services.system.database.close()
    shutil.rmtree(made.home)


@pytest.mark.security
@pytest.mark.req("SEC-V05", "SEC-V06")
@pytest.mark.parametrize("kind", ["file", "passphrase", "shamir"])
def test_another_server_takes_the_seal_into_its_own_home(fresh, sealing, other, kind):
    object.__setattr__(sealing._settings, "passphrase", Passphrase(memory=19456, rounds=2))
    there = other.app.services.sealing
    for _ in range(2):
        shares = sealing.begin(kind, Secret(WORDS) if kind == "passphrase" else None)
        if shares:
            sealing.confirm(shares[:3])
        there.follow()
        assert SealFile(other.home).read() == SealFile(fresh.home).read()
        assert (other.home / KEY_FILE).exists() == (kind == "file")
        assert SealFile(other.home).ring() == SealFile(fresh.home).ring()
    assert there.renew() == there.standing().root, "and it can be the next to replace it"
    sealing.follow()
    assert SealFile(fresh.home).read()["root"] == there.standing().root
    assert word(fresh.app, fresh) == word(other.app, fresh) == "kept"
    told = [each["about"] for each in fresh.records(None) if each["action"] == "seal.retire"]
    assert [len(each["handed_to"]) for each in told] == [1, 1, 1]
    roots = [each["root"] for each in told] + [told[-1]["replaced_by"]]
    assert roots[1:] == [each["replaced_by"] for each in told]


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_server_whose_disk_is_full_takes_the_seal_into_its_home_later(fresh, sealing, other, monkeypatch):
    there = other.app.services.sealing
    root = sealing.renew()
    with monkeypatch.context() as patch:
        patch.setattr(SealFile, "begin", full)
        with pytest.raises(OSError, match="full"):
            there.follow()
    there.follow()
    assert SealFile(other.home).read()["root"] == root
    assert other.app.services.nodes.taken is None, "the key is kept no longer than it must"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_server_that_is_not_handed_the_key_stops_and_its_start_says_what_to_do(fresh, sealing, other):
    lost, before = [], (other.home / KEY_FILE).read_bytes()
    there = other.app.services.sealing
    there.on_lost = lost.append
    sealing.renew(alone=True)
    with pytest.raises(Unavailable):
        there.follow()
    assert "has not got the root key" in lost[0].message
    assert (other.home / KEY_FILE).read_bytes() == before
    for start in (build, lambda settings: sealed_gate(settings, print)):
        with pytest.raises(Invalid, match="does not open this store") as told:
            start(other.settings)
        assert sealing.standing().root in told.value.hint
        assert "copy root.key or root.seal" in told.value.hint
    shutil.copyfile(fresh.home / KEY_FILE, other.home / KEY_FILE)
    app = build(other.settings)
    assert word(app, fresh) == "kept"
    app.services.system.database.close()


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_two_servers_that_replace_it_at_once_leave_one_root_key_that_both_have(fresh, sealing, other):
    both = (sealing, other.app.services.sealing)
    threads = [threading.Thread(target=each.renew) for each in both for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for each in both:
        each.follow()
    assert len({each.standing().root for each in both} | {sealing._ring.root}) == 1
    assert SealFile(fresh.home).pending() is SealFile(other.home).pending() is None
    assert word(fresh.app, fresh) == word(other.app, fresh) == again(fresh) == "kept"


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_servers_that_share_a_home_change_its_seal_one_after_the_other(fresh, sealing, monkeypatch):
    """Else the second drops the only copy of the root key that the first has just put the store under."""
    second, held = SealFile(fresh.home), []

    def meanwhile(self, root, also=lambda: None):
        taken = threading.Event()

        def start():
            with second.held():
                taken.set()

        thread = threading.Thread(target=start)
        thread.start()
        held.append((taken.wait(0.2), thread))
        return real(self, root, also)

    real = Keyring.reseal
    monkeypatch.setattr(Keyring, "reseal", meanwhile)
    sealing.renew()
    (early, thread), = held  # fmt: skip
    thread.join(10)
    assert not early
    assert not thread.is_alive()
    assert again(fresh) == "kept"


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_closing_one_server_closes_all(fresh, sealing, other):
    shares = sealing.begin("shamir", None)
    sealing.confirm(shares[:3])
    there, told = other.app.services, []
    there.sealing.follow()
    sealing.on_close, there.sealing.on_close = lambda: told.append("here"), lambda: told.append("there")
    sealing.close()
    there.revocation.pull()
    assert set(told) == {"here", "there"}
    with pytest.raises(Sealed):
        build(other.settings)


def test_a_server_whose_seal_opens_by_itself_hears_of_no_closing(sealing):
    told = []
    sealing.on_close = lambda: told.append(1)
    sealing.hear("close")
    assert told == []


@pytest.mark.security
@pytest.mark.req("SEC-V09")
def test_a_tenant_that_one_server_shreds_is_forgotten_by_the_others(fresh, sealing, other):
    there = other.app.services
    scope, south = (there.scope(fresh.tenants[name], fresh.scope(name).who) for name in ("north", "south"))
    there.vault.put(south, "word", Secret("stays"))
    assert there.vault.use(scope, "word", purpose="a test").reveal() == "kept"
    fresh.app.services.vault.shred(fresh.scope("north"))
    sealing.renew()
    there.sealing.follow()
    assert {tenant for tenant, _ in there.vault._held} == {fresh.tenants["south"]}
    with pytest.raises(Missing):
        there.vault.use(scope, "word", purpose="a test")
