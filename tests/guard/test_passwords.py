from __future__ import annotations

import hashlib
import io
import socket
import subprocess
import sys
import threading
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid, Throttled
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Passwords as Cost
from sluicegate.base.settings import Settings
from sluicegate.crypto.hashset import HashSet
from sluicegate.crypto.keys import Key
from sluicegate.guard import passwords
from sluicegate.guard.passwords import COMMON, HASHES_MAX, Breached, Passwords

ROOT = Key(bytes(range(64)))
NAMES = ("ada.lovelace@engines.example", "Ada Lovelace", "analytical")


def make(home, memory=19456):
    return Passwords(ROOT, Settings(home=home, passwords=Cost(memory=memory, rounds=2)))


@pytest.fixture
def desk(tmp_path):
    return make(tmp_path)


def refused(desk, text, *, factor=False, names=NAMES):
    """Return why a password is refused; empty when it is not."""
    try:
        desk.check(Secret(text), factor=factor, names=names, where="new")
    except Invalid as fault:
        assert fault.where == "new"
        assert len(text) < 8 or text not in str(fault)
        return fault.message
    return ""


GOOD = [
    "seven small boats", "nine grey herons at dusk", "zwölf Boxkämpfer jagen Viktor", "七匹の小さな船が正午に港を静かに出て行く", "vK8#pLq2!mZr9@t",
    "  k  m  7  w  z  p  h  t  9", "🦀🚲🌋🎻🧭🪁🦔🍉🛶🧲🪐🎈🐙🌵🔭", "le chat dort sous la table\u0000\u0007", "x7Fq" * 4 + "mountain rain",
]  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-A03")
@pytest.mark.parametrize("text", GOOD, ids=range(len(GOOD)))
def test_any_characters_and_no_composition(desk, text):
    assert refused(desk, text) == ""


@pytest.mark.security
@pytest.mark.req("SEC-A03")
@pytest.mark.parametrize(
    ("text", "factor", "says"),
    [
        ("vK8#pLq2!mZr9@", False, "15 to 256"),
        ("vK8#pLq2!mZr9@t", False, ""),
        ("vK8#pLq2!mZ", True, "12 to 256"),
        ("vK8#pLq2!mZr", True, ""),
        ("vK8#pLq2!mZr", False, "15 to 256"),
        ("", False, "15 to 256"),
        ("vK8#pLq2!mZr9@t " * 16, False, ""),
        ("vK8#pLq2!mZr9@t " * 16 + "x", False, "15 to 256"),
        ("vK8#pLq2!mZr9@e\u0301"[1:], False, "15 to 256"),  # 15 code points, 14 characters once they are composed
        ("vK8#pLq2!mZr9@\ud800", False, "half a character"),
        ("vK8#pLq2!mZr9@\u0378", False, "not in Unicode"),
    ],
)
def test_length_is_what_counts(desk, text, factor, says):
    assert says in refused(desk, text, factor=factor)
    assert bool(says) is bool(refused(desk, text, factor=factor))


@pytest.mark.security
@pytest.mark.req("SEC-A04")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("aaaaaaaaaaaaaaab", "too few"),
        ("correcthorsecorrecthorse", "repeats itself"),
        ("qwertyuiop123456", "rows of keys"),
        ("1qaz2wsx3edc4rfv", "rows of keys"),
        ("Sluicegate-2026!", "product"),
        ("sluice sluicegate 1", "product"),
        ("analytical-analytical-9", "tenant"),
        ("Ada-Lovelace-1815!", "name"),
        ("lovelace@engines", "address"),
        ("PolniyPizdec0211", "common"),
        ("momsanaladventure", "common"),
        ("MomsAnalAdventure!!", "common"),
        ("Password12345678", "common"),
        ("P@ssw0rdP@ssw0rd1", "common"),
        ("iloveyou123456789", "common"),
    ],
)
def test_what_is_guessed_first_is_refused_with_its_reason(desk, text, says):
    assert says in refused(desk, text)


@pytest.mark.security
@pytest.mark.req("SEC-A04")
def test_the_list_is_of_a_million_and_of_those_that_are_long_enough():
    common = HashSet(COMMON)
    assert len(common) > 40_000
    for text in ("polniypizdec0211", "qazwsxedcrfvtgb", "passwordpassword", "1234567890qwerty", "dragon"):
        assert text in common
    assert "seven small boats at noon" not in common
    taken = []
    for number in range(500):
        began = time.perf_counter()
        assert f"no such password {number}" not in common
        taken.append(time.perf_counter() - began)
    assert sorted(taken)[250] < 0.001
    told = COMMON.with_suffix(".md").read_text()
    assert f"{len(common):,} entries" in told
    assert "MIT License" in told


@pytest.mark.security
@pytest.mark.req("SEC-A04", "SEC-A05")
def test_nothing_is_asked_elsewhere_and_nothing_is_read_at_import(desk, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a password never leaves this machine"))
    assert refused(desk, "momsanaladventure")
    assert refused(desk, "seven small boats") == ""
    code = (
        "import builtins, mmap; mmap.mmap = None\n"
        "import sluicegate.guard.passwords, sys\n"
        "assert 'argon2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})


@given(st.text(min_size=15, max_size=40))
def test_every_refusal_has_a_reason_and_none_repeats_the_password(tmp_path_factory, text):
    told = refused(make(tmp_path_factory.getbasetemp()), text, names=())
    assert told == "" or "password" in told


@pytest.mark.security
@pytest.mark.req("SEC-A03")
def test_the_old_one_is_no_new_one_however_it_is_typed(desk):
    old, new = "die schöne Müllerin singt", unicodedata.normalize("NFD", "die schöne Müllerin singt")
    assert old != new
    with pytest.raises(Invalid, match="is the old one"):
        desk.check(Secret(new), factor=False, old=Secret(old))


# -- the operator's list ---------------------------------------------------------------------------------------------------


def listing(*texts):
    return io.BytesIO(
        "".join(f"{hashlib.sha1(each.encode(), usedforsecurity=False).hexdigest()}:9\n" for each in texts).encode()
    )


@pytest.mark.security
@pytest.mark.req("SEC-A05")
def test_an_imported_list_is_seen_at_once_and_its_successor_too(desk, tmp_path):
    lost = "seven small boats at noon"
    assert refused(desk, lost) == ""
    assert Breached(tmp_path).load(listing(lost), "list") == 1
    assert "breach" in refused(desk, lost)
    assert refused(desk, lost.upper()) == ""
    Breached(tmp_path).load(listing("nine grey herons at dusk"), "list")
    assert refused(desk, lost) == ""
    assert "breach" in refused(desk, "nine grey herons at dusk")
    (tmp_path / passwords.BREACHED).unlink()
    assert refused(desk, "nine grey herons at dusk") == ""


@pytest.mark.security
@pytest.mark.req("SEC-A05")
def test_a_damaged_list_lets_nothing_through(desk, tmp_path):
    Breached(tmp_path).load(listing("a"), "list")
    (tmp_path / passwords.BREACHED).write_bytes(b"cut off")
    with pytest.raises(Corrupt, match="damaged"):
        desk.check(Secret("seven small boats at noon"), factor=False)


# -- hashing ---------------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-A01", "SEC-A03")
def test_the_whole_password_counts_in_one_spelling_of_unicode(desk):
    long = "vK8#pLq2!mZr9@t " * 16
    stored = desk.hash(Secret(long))
    assert desk.verify(stored, Secret(long))
    assert not desk.verify(stored, Secret(long[:-1])), "nothing is cut off, at 72 or elsewhere"
    stored = desk.hash(Secret("die schöne Müllerin"))
    assert desk.verify(stored, Secret(unicodedata.normalize("NFD", "die schöne Müllerin")))
    assert not desk.verify(desk.hash(Secret("ﬁne ½ words only")), Secret("fine 1⁄2 words only")), "NFC, and not NFKC"


@pytest.mark.security
@pytest.mark.req("SEC-A01")
def test_a_hash_is_of_todays_cost_and_of_this_installation(desk, tmp_path):
    stored = desk.hash(Secret("x"))
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not desk.is_stale(stored)
    assert make(tmp_path, 20480).is_stale(stored)
    assert Settings().passwords == Cost(memory=64 * 1024, rounds=3)
    other = Passwords(Key(bytes(range(1, 65))), Settings(home=tmp_path, passwords=Cost(memory=19456, rounds=2)))
    assert not other.verify(stored, Secret("x")), "without the pepper a stolen table opens nothing"


@pytest.mark.security
@pytest.mark.req("SEC-A02")
def test_few_are_hashed_at_once_whoever_asks(desk, monkeypatch):
    there, most, lock = 0, 0, threading.Lock()
    kept = passwords.password.hash_password

    def watched(*given, **more):
        nonlocal there, most
        with lock:
            there += 1
            most = max(most, there)
        try:
            return kept(*given, **more)
        finally:
            with lock:
                there -= 1

    monkeypatch.setattr(passwords.password, "hash_password", watched)
    crowd = [threading.Thread(target=desk.hash, args=(Secret("x"),)) for _ in range(12)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert 1 <= most <= HASHES_MAX


@pytest.mark.security
@pytest.mark.req("SEC-A02")
def test_who_waits_too_long_is_told_to_come_back(desk, monkeypatch):
    monkeypatch.setattr(passwords, "PATIENCE", 0.01)
    for _ in range(HASHES_MAX):
        desk._slots.acquire()
    for ask in (lambda: desk.hash(Secret("x")), lambda: desk.burn(Secret("x")), lambda: desk.verify("", Secret("x"))):
        with pytest.raises(Throttled):
            ask()
