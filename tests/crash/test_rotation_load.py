"""Keys are replaced again and again while runs come at 100 a minute, and ``kill -9`` falls in the middle (SEC-V05)."""

from __future__ import annotations

import base64
import io
import os
import shutil
import sqlite3
import threading
import time
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sluicegate.app import build
from sluicegate.base import settings
from sluicegate.base.errors import Conflict, Corrupt, Invalid, SluiceError
from sluicegate.base.secret import Secret
from sluicegate.cli.remote import Server
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import load_key_file
from sluicegate.crypto.seal import aezip
from sluicegate.guard.keyring import Keyring
from sluicegate.guard.vault import canonical
from sluicegate.operations import find
from tests.crash.test_rotation import COUNT, fill, within
from tests.fixtures.home import sluice

SECONDS = float(os.environ.get("SLUICE_TEST_SECONDS", "24"))
EVERY = 0.6
"""Seconds from one run to the next: 100 a minute."""
PASSPHRASE = "tmdd 3hck 91zz q0p8 5x2v 7fmn w4rj 8kbe"
FLOW = """
kind: connection
name: here
type: files
---
kind: flow
name: sealed
params: { n: { type: int64 } }
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - archive: { from: rows, connection: here, item: "out-{n}.csv.zip", seal: { type: zip, passphrase: { secret: zip } } }
"""


class Load(threading.Thread):
    """Starts a run every ``EVERY`` seconds, whatever becomes of the server: who hears nothing asks again."""

    def __init__(self, home):
        super().__init__(name="load")
        self.home = home
        self.stop, self.started, self.late, self.refused = threading.Event(), 0, 0.0, set()

    def run(self):
        server, due = Server(folder=self.home), time.monotonic()
        while not self.stop.is_set():
            try:
                server.call(find("run.start"), {"name": "sealed", "params": {"n": self.started}})
            except SluiceError as fault:
                self.refused.add(fault.code)
                server.close()
                self.stop.wait(0.1)
                continue
            self.started += 1
            due += EVERY
            self.late = max(self.late, time.monotonic() - due)
            self.stop.wait(max(0.0, due - time.monotonic()))
        server.close()


def keys(vault, scope):
    """Return the tenant's key and the vault key above it, as somebody may have stolen them."""
    (stored,) = scope.secrets().tenant_keys()
    return vault._key(scope, stored), vault._ring.vault(stored.above, scope.tenant), stored.wrapped


def rotate(root, seen):
    """Replace all four keys, as far as each may be replaced now."""
    server = Server(folder=root)
    for name in ("vault.rotate", "system.rekey", "system.rotate", "seal.renew"):
        with suppress(Conflict):  # the one before is still being left
            server.call(find(name))
            seen[name] = seen.get(name, 0) + 1
    server.close()


def interrupt(served, root):
    """Kill the server while secrets are under two keys, and start it again."""
    rotation = threading.Thread(target=sluice, args=(root, "vault", "rotate"), kwargs={"expect": None})
    rotation.start()
    link = sqlite3.connect(f"file:{served.home}/store.db?mode=ro", uri=True)
    end = time.monotonic() + 20
    while link.execute("select count(distinct key) from secrets").fetchone() == (1,):
        assert time.monotonic() < end, "never caught in the middle"
    served.kill()
    assert link.execute("select count(distinct key) from secrets").fetchone() == (2,)
    link.close()
    rotation.join()
    served.start()


def ended(server):
    """Return all runs, once each has ended."""
    end = time.monotonic() + 90
    while True:
        runs, before = [], None
        while page := server.call(find("run.list"), {"limit": 500, "before": before})["items"]:
            runs, before = runs + page, page[-1]["id"]
        if all(each["finished"] for each in runs):
            return runs
        assert time.monotonic() < end, [each["state"] for each in runs]
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V05")
@pytest.mark.timeout(SECONDS + 240)
def test_no_run_fails_while_keys_are_replaced_and_the_old_ones_open_nothing(served):
    me, root = served.settle(), served.folder / "root"
    (served.data(me) / "in.csv").write_text("id,word\n" + "".join(f"{n},row {n}\n" for n in range(100)))
    (served.folder / "flow.yaml").write_text(FLOW)
    sluice(served.editor, "secret", "set", "zip", "--value-file", "-", told=PASSPHRASE)
    sluice(served.editor, "apply", str(served.folder / "flow.yaml"))
    served.stop()
    within(served, fill)
    old = within(served, keys)
    old_root = load_key_file(served.home / "root.key")
    shutil.copyfile(served.home / "store.db", served.folder / "backup.db")
    served.start()
    load, seen, began = Load(served.editor), {}, time.monotonic()
    load.start()
    try:
        for _ in range(2):
            until = time.monotonic() + SECONDS / 2
            interrupt(served, root)
            while time.monotonic() < until:
                rotate(root, seen)
                time.sleep(0.5)
    finally:
        load.stop.set()
        load.join()
    minutes = (time.monotonic() - began) / 60
    server = Server(folder=served.editor)
    runs = ended(server)
    server.close()
    assert {each["state"] for each in runs} == {"succeeded"}, [each["error"] for each in runs]
    assert len(runs) >= load.started
    assert load.refused <= {"unreachable", "unavailable"}, "only while there was no server"
    print(f"{len(runs)} runs, {load.started / minutes:.0f} a minute, late {load.late:.1f} s, {seen}")
    assert load.started / minutes >= 95
    assert len(seen) == 4, seen

    end = time.monotonic() + 60
    while (now := sluice(root, "vault", "get"))["waiting"]:
        assert time.monotonic() < end
    retired = sluice(root, "audit", "list", "--action", "vault.retire", "--limit", "500")["items"]
    told = {each["about"]["key"]: each["about"] for each in retired if "key" in each["about"]}
    while len(told) < now["key"] - 1 and time.monotonic() < end:
        retired = sluice(root, "audit", "list", "--action", "vault.retire", "--limit", "500")["items"]
        told = {each["about"]["key"]: each["about"] for each in retired if "key" in each["about"]}
    served.stop()
    public = load_pem_public_key(now["public"].encode())
    for each in told.values():
        public.verify(base64.b64decode(each["signature"]), canonical(each))
    assert sorted(told) == list(range(1, now["key"])), "a certificate for each key but the newest"
    within(served, lambda vault, scope: assert_replaced(vault, scope, old, now["key"]))
    assert_gone(served, old_root, old)
    with (served.data(me) / f"out-{load.started - 1}.csv.zip").open("rb") as sealed:
        assert aezip.open_with(Secret(PASSPHRASE), io.BytesIO(sealed.read())).read().count(b"\n") == 101


def assert_replaced(vault, scope, old, newest):
    """All is under the newest keys and opens, and what was stolen opens nothing of it."""
    tenant_key, vault_key, _ = old
    (stored,) = scope.secrets().tenant_keys()
    assert stored.version == newest
    assert set(scope.secrets().under()) == {newest}
    assert vault._ring.versions == (stored.above,)
    assert vault.use(scope, "zip", purpose="a test").reveal() == PASSPHRASE
    for number in range(0, COUNT, 7):
        if number % 49 == 0:
            assert vault.use(scope, f"s{number}", purpose="a test").reveal() == f"word {number}"
        found = scope.secrets().get(f"s{number}")
        for version in (1, found.key):
            with pytest.raises(Corrupt):
                envelope.unwrap(
                    tenant_key, found.wrapped, (*vault._aad(scope, found.name, found.version), str(version))
                )
    with pytest.raises(Corrupt):
        envelope.unwrap(vault_key, stored.wrapped, vault._key_aad(scope, stored.version, stored.above))


def assert_gone(served, old_root, old):
    """Neither the root key from before nor a copy of the store from before is of any use today."""
    store = served.home / "store.db"
    assert old[2] not in b"".join(each.read_bytes() for each in served.home.glob("store.db*"))
    app = build(settings.load({"SLUICE_HOME": str(served.home)}))
    with pytest.raises(Invalid, match="does not open this store"):
        Keyring(old_root, app.services.system)
    app.close()
    today = store.read_bytes()
    with sqlite3.connect(store) as link:  # an old row in the place of the new one
        link.execute("attach ? as before", (str(served.folder / "backup.db"),))
        link.execute("update secrets set (wrapped, ciphertext, key, version) = (select b.wrapped, b.ciphertext, b.key, b.version"
                     " from before.secrets b where b.name = secrets.name) where name = 's1'")  # fmt: skip
    link.close()

    def refused(vault, scope):
        with pytest.raises(Corrupt):
            vault.use(scope, "s1", purpose="a test")

    within(served, refused)
    shutil.copyfile(served.folder / "backup.db", store)
    with pytest.raises(Invalid, match="does not open this store"):
        build(settings.load({"SLUICE_HOME": str(served.home)}))
    store.write_bytes(today)
