"""Canaries in every kind of secret and in rows go through a real installation, and are found nowhere (SEC-V01, V02, B01)."""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from sluicegate.app import build
from sluicegate.base import settings
from sluicegate.base.errors import Conflict, SluiceError, StepUp, Unreachable
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.cli.proof import Proof, random_word
from sluicegate.cli.remote import Server
from sluicegate.conformance.leaks import flows
from sluicegate.conformance.leaks.report import Report
from sluicegate.conformance.leaks.search import Searcher
from sluicegate.operations import find
from tests.fixtures.home import sluice
from tests.fixtures.town import SMTP, serving

pytestmark = [pytest.mark.slow, pytest.mark.security, pytest.mark.timeout(300), pytest.mark.xdist_group("leaks")]

EVERY = {
    "access token", "access token of a key", "age identity", "api key", "aws secret key", "aws session token",
    "database password", "invitation link", "linked file", "linked variable", "openbao secret id", "openbao token",
    "oidc client secret", "one-time password", "openpgp key", "password", "recovery code 0", "refresh token",
    "reset link", "root key", "rows", "server-key.pem", "totp seed", "zip passphrase",
}  # fmt: skip


@pytest.fixture(scope="module")
def town():
    with serving() as server:
        yield server


@pytest.fixture
def own_town():
    """Give a server that the test may leave shut."""
    with serving() as server:
        yield server


def a_name() -> str:
    return f"prove-leaks-{random_word()[:12]}"


def state_of(town, name: str) -> str:
    (found,) = [each for each in sluice(town.folder / "root", "tenant", "list")["items"] if each["name"] == name]
    return found["state"]


def sign_in(town):
    here = ("--url", town.url, "--ca", str(town.ca), "--tenant", "acme", "--email", "root@example.org")
    sluice(town.folder / "root", "login", *here, "--password-file", str(town.folder / "password.txt"))


@pytest.mark.req("SEC-V01", "SEC-V02", "SEC-B01")
def test_an_operator_proves_that_nothing_leaks_and_nothing_of_it_stays(town):
    root, log, linked = town.folder / "root", town.folder / "server.log", town.folder / "linked"
    name = a_name()
    linked.mkdir()
    town.stop()
    with (town.home / "sluice.toml").open("a") as out:
        out.write(f'[[sources]]\ntenant = "{name}"\nprefix = "SLUICE_SECRET_PROOF_"\nfolder = "{linked}"\n')
    town.variables["SLUICE_SECRET_PROOF_A"] = variable = f"Variable-{random_word()}"
    town.start()
    sign_in(town)
    words = ("prove", "leaks", "--home", str(town.home), "--also", str(log))
    told = sluice(root, *words, seconds=250, SLUICE_SECRET_PROOF_A=variable)
    assert (told["hits"], told["unread"], told["not_done"], told["left"], told["uncovered"]) == ([], [], {}, [], [])
    assert told["ok"]
    assert set(told["secrets"]) >= EVERY
    assert told["runs"] == flows.STATES
    looked = told["searched"]
    assert (looked["files"], looked["answers"], looked["processes"]) > (15, 100, 5)
    assert looked["bytes"] > 5 << 20
    (tenant,) = [each for each in sluice(root, "tenant", "list")["items"] if each["name"] == name]
    assert tenant["state"] == "suspended"
    assert not (town.home / "data" / tenant["id"]).exists()
    assert not (town.home / "quarantine" / tenant["id"]).exists()
    assert list(linked.iterdir()) == []
    assert sluice(root, "whoami")["tenant_name"] == "acme", "where they were before"


def test_nobody_but_a_superadmin_on_the_machine_itself_can_ask_for_it(town):
    done = sluice(town.editor, "prove", "leaks", "--home", str(town.home), expect=4)
    assert done["error"]["code"] == "denied"
    done = sluice(town.folder / "root", "prove", "leaks", "--home", str(town.folder), expect=2)
    assert "no home of a server" in done["error"]["title"]


def test_what_was_not_done_proves_nothing(town, tmp_path, monkeypatch):
    """A run that ends before it has read any row carries no canary anywhere."""
    monkeypatch.setattr(flows, "FLOWS", ("stops-reading",))
    monkeypatch.setitem(flows.STATES, "stops-reading", "succeeded")
    sign_in(town)
    with Brief(town.home, tmp_path, a_name()) as proof:
        told = proof.run([])
    assert (told["hits"], told["unread"], told["not_done"]) == ([], [], {"stops-reading": "failed"})
    assert not told["ok"]


class Brief(Proof):
    """A proof that plants everything, and does little with it."""

    def ask(self, admin):
        self._say(admin, "audit.list", {}, rows=False)


class Planting(Proof):
    """A proof that plants nothing but its Administrator."""

    def act(self):
        self._person()
        return Report(Searcher(self.canaries))


class Searching(Planting):
    """A proof that looks, when it would search, at what is left of itself."""

    def search(self, report, also):
        self.state = state_of(self.town, self._name)
        self.files = (self._place / "data" / self._tenant["id"]).exists()

    def act(self):
        report = super().act()
        (self._place / "data" / self._tenant["id"]).mkdir(parents=True)
        return report


def test_all_that_needs_a_fresh_proof_is_done_before_the_search_which_may_take_long(town, tmp_path):
    sign_in(town)
    with Searching(town.home, tmp_path, a_name()) as proof:
        proof.town = town
        told = proof.run([])
        asked = proof._root.call
        proof._root.call = lambda *_: pytest.fail("nothing is asked after the search")
    proof._root.call = asked
    assert (proof.state, proof.files, proof.left, told["ok"]) == ("suspended", True, [], True)
    assert not (town.home / "data" / proof._tenant["id"]).exists()
    with closing(Server(town.url, town.ca, tmp_path)) as admin, pytest.raises(SluiceError):
        admin.call(find("session.whoami"))


class Stale(Searching):
    """A proof whose SuperAdmin signed in too long ago for one thing that is asked of them."""

    def _deactivate(self):
        raise StepUp("Prove once more that it is you.")


def test_one_thing_that_cannot_be_taken_away_is_named_and_keeps_nothing_else(town, tmp_path):
    sign_in(town)
    with Stale(town.home, tmp_path, a_name()) as proof:
        proof.town = town
        proof.run([])
    assert proof.left == [f"people of {proof._name} are active (Prove once more that it is you.)"]
    assert proof.state == "suspended"
    assert not (town.home / "data" / proof._tenant["id"]).exists()
    assert sluice(town.folder / "root", "whoami")["tenant_name"] == "acme"


class Lost(Planting):
    """A proof that does not come into its tenant."""

    def _switch(self, tenant):
        if tenant == self._name:
            raise Unreachable("The server does not answer.")
        super()._switch(tenant)


def test_a_proof_that_does_not_begin_leaves_no_active_tenant(town, tmp_path, capsys):
    sign_in(town)
    proof = Lost(town.home, tmp_path, a_name())
    with pytest.raises(Unreachable), proof:
        pytest.fail("it has not begun")
    assert state_of(town, proof._name) == "suspended"
    assert f"people of {proof._name} are active" in capsys.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_proof_that_is_cut_off_is_taken_down_at_once_or_at_the_next_start(town, tmp_path, how):
    sign_in(town)
    folder = Path(tempfile.gettempdir())
    before = set(folder.glob("prove-leaks-*"))
    words = ("prove", "leaks", "--home", str(town.home))
    child = subprocess.Popen(
        [sys.executable, "-m", "sluicegate", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
             "SLUICE_HOME": str(town.folder / "root")},
    )  # fmt: skip
    end = time.monotonic() + 60
    while not (own := [each for each in folder.glob("prove-leaks-*/login.json") if each.parent not in before]):
        assert child.poll() is None, "it has ended before it began"
        assert time.monotonic() < end, "it does not begin"
        time.sleep(0.02)
    with pytest.raises(Conflict, match="Another proof"), Proof(town.home, tmp_path, a_name()):
        pytest.fail("two at a time")
    child.send_signal(how)
    said, name = child.communicate(timeout=60)[1], own[0].parent.name.rpartition("-")[0]
    if how == signal.SIGTERM:
        assert child.returncode in (130, -signal.SIGINT), "a shell says 130 of either"
        assert said.strip() == "sluice: interrupted"
    else:
        sign_in(town)  # it may have been killed while it traded the tokens
        assert (state_of(town, name), own[0].exists()) == ("active", True), "the control"
        with Planting(town.home, tmp_path, a_name()) as proof:
            assert proof.earlier == [name]
    assert state_of(town, name) == "suspended"
    assert set(folder.glob("prove-leaks-*")) == before
    (number,) = [each["id"] for each in sluice(town.folder / "root", "tenant", "list")["items"] if each["name"] == name]
    assert not (town.home / "data" / number).exists()


class Leaky(Brief):
    """A proof on an installation that leaks, each secret in another way."""

    def ask(self, admin):
        super().ask(admin)
        home, also = self._place, self._own.parent / "also"
        self.ways = {
            "database password": (home / "x.db", lambda text: text.encode("utf-16-le")),
            "zip passphrase": (home / "quarantine" / "y", lambda text: base64.b64encode(b"pq" + text.encode())),
            "age identity": (also / "z.gz", lambda text: gzip.compress(b"a log: " + text.encode())),
            "rows": (self._place / "data" / self._tenant["id"] / "sealed.csv.pgp", str.encode),
            "totp seed": (also / "log", lambda text: text.encode().hex(" ").encode()),
        }
        for name, (file, form) in self.ways.items():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(file.read_bytes() if name == "rows" else b"")
            with file.open("ab") as out:
                out.write(form(self.canaries[name]))
        self.child = subprocess.Popen(
            [sys.executable, "-c", "input()", self.canaries["api key"]], stdin=subprocess.PIPE,
            env={"TOKEN": self.canaries["refresh token"]},
        )  # fmt: skip
        self.answers.append(("a log line", f"password={self.canaries['password']}", True))
        self.answers.append(("for somebody who may not read rows", self.canaries["rows"], False))

    def search(self, report, also):
        try:
            super().search(report, [*also, self._own.parent / "also"])
            report.processes()
        finally:
            self.child.communicate(b"\n")
            for file, _ in self.ways.values():
                file.unlink()


def test_on_an_installation_that_leaks_each_leak_is_found_and_named(town, tmp_path, monkeypatch):
    """The control: that nothing is found elsewhere means something."""
    monkeypatch.setattr(flows, "FLOWS", ("out",))
    sign_in(town)
    (tmp_path / "own").mkdir()
    with Leaky(town.home, tmp_path / "own", a_name()) as proof:
        told = proof.run([])
    assert not told["ok"]
    found = {(each["secret"], each["form"]) for each in told["hits"]}
    assert found >= {
        ("database password", "utf-16"), ("zip passphrase", "base64"), ("age identity", "text, packed"),
        ("totp seed", "hex"), ("api key", "text"), ("refresh token", "text"), ("password", "text"), ("rows", "text"),
    }  # fmt: skip
    places = {each["secret"]: each["place"] for each in told["hits"]}
    assert places["api key"] == f"process {proof.child.pid}, cmdline"
    assert places["refresh token"] == f"process {proof.child.pid}, environ"
    assert places["password"] == "a log line"
    assert {each["place"] for each in told["hits"] if each["secret"] == "rows"} == {
        str(proof.ways["rows"][0]), "for somebody who may not read rows",
    }  # fmt: skip
    for name in set(proof.canaries) - {"root key"}:
        assert str(proof.canaries[name]) not in json.dumps(told), "what was found is not told"


@pytest.mark.req("SEC-V01", "SEC-V02", "SEC-B01", "SEC-B06")
def test_neither_crash_nor_backup_nor_mail_nor_a_new_seal_leaves_any(own_town, tmp_path, monkeypatch):
    """What the command does, and then all that it must not do to a living installation."""
    monkeypatch.setattr(flows, "FLOWS", ("out", "stops-reading"))
    own_town.stop()
    with (own_town.home / "sluice.toml").open("a") as out:
        out.write(own_town.mail)
    own_town.start()
    sign_in(own_town)
    root, passphrase = own_town.folder / "root", "Seal-canary-0815 of nine words and a number 4711"
    with Brief(own_town.home, tmp_path, a_name()) as proof:
        told = proof.tell(proof.act(), [own_town.folder / "server.log"])
        assert (told["hits"], told["unread"], told["not_done"]) == ([], [], {})
        canaries, apart = proof.canaries | mailed(own_town), proof.apart
        sluice(root, "vault", "rotate")
        backup = own_town.folder / "backup"
        backup.mkdir()
        with sqlite3.connect(own_town.home / "store.db") as here, sqlite3.connect(backup / "store.db") as there:
            here.backup(there)
        here.close()
        there.close()
        admin = Server(own_town.url, own_town.ca, tmp_path)
        admin.call(find("run.start"), {"name": "out"})
        admin.close()
        time.sleep(1.0)
        own_town.kill()
        nothing(own_town, canaries, apart, "what a power cut leaves")
        own_town.start()
        sign_in(own_town)
        changed = sluice(root, "seal", "change", "--to", "passphrase", "--passphrase-file", "-", told=passphrase)
        assert changed["done"]
        canaries |= {"seal passphrase": passphrase}
    shares = sluice(root, "seal", "change", "--to", "shamir")["shares"]
    given = own_town.folder / "given"
    given.write_text("\n".join(shares[:3]))
    sluice(root, "seal", "confirm", "--file", str(given))
    given.unlink()
    canaries |= {f"share {number}": share for number, share in enumerate(shares)}
    own_town.stop()
    (own_town.home / "root.key").exists() and pytest.fail("the key file is gone with its seal")
    opened = keys(own_town, shares[:3])
    nothing(own_town, canaries | opened, apart, "after all of it")
    assert len(opened) >= 6, "root, main, vault, tenant and signing keys"
    raw = Searcher(opened)
    assert list(raw.chunk(b"--" + next(iter(opened.values())) + b"--")), "the control"


def mailed(town) -> dict[str, str]:
    """Have an invitation and a reset link be mailed; return what opens them, and what the relay is opened with."""
    root = town.folder / "root"
    sluice(root, "user", "invite", "ada@acme.example", "--role", "viewer")
    end = time.monotonic() + 60
    while not town.relay.got.to("ada@acme.example"):
        assert time.monotonic() < end, "no mail came"
        time.sleep(0.05)
    return {"mailed link": town.relay.got.link("ada@acme.example")[1], "smtp password": SMTP}


def nothing(town, canaries, apart, when) -> None:
    """Search all that lies on the disk."""
    report = Report(Searcher(canaries))
    allowed = {**apart, town.home / "sluice.toml": {"smtp password", "mail.password"}}
    report.folder(town.home, allowed)
    report.folder(town.folder / "backup", {})
    report.file(town.folder / "server.log")
    assert report.ok, (when, report.body())
    assert report.counts["files"] > 10


def keys(town, shares) -> dict[str, bytes]:
    """Return the keys that the installation holds in memory while it is open."""
    from sluicegate.base.secret import Secret
    from sluicegate.guard import seals
    from sluicegate.guard.sealfile import SealFile

    found = settings.load({"SLUICE_HOME": str(town.home)})
    state = SealFile(town.home).read()
    opener = seals.find(state["seal"], found).open(state, [Secret(each) for each in shares])
    app = build(found, opener)
    try:
        ring, tokens, vault = app.services.vault._ring, app.services.tokens, app.services.vault
        told = {"root": opener.raw, "main": ring.main.raw}
        told |= {f"vault key {version}": key.raw for version, key in ring._ring.vault.items()}
        told |= {f"key of tenant {name}": key.raw for name, key in ring._ring.tenants.items()}
        told |= {f"signing key {each.kid}": each.key.raw for each in tokens._read()}
        for tenant in app.services.system.tenants().list():
            who = Principal("system", tenant.id, Role.API_USER, Via.SYSTEM)
            scope = app.services.scope(tenant.id, who)
            for each in scope.secrets().tenant_keys():
                told[f"tenant key {tenant.name} {each.version}"] = vault._key(scope, each).raw
        return told
    finally:
        app.close()
