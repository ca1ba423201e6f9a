"""The demo: a fresh server over TLS, real flights, one flow, and proofs. Run it with ``make demo``.

``KEEP=1`` leaves the server running and prints its address.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from sluicegate.crypto.dpop import ProofKey

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SLUICE = str(Path(sys.executable).with_name("sluice"))
CACHE = ROOT / ".cache" / "flights"
FLOW = "flights-to-warehouse"
COLUMNS = ("year", "month", "day", "sched_dep_time", "carrier", "flight", "airline", "delay_min", "tail")


def fail(message: str) -> NoReturn:
    """End the demo."""
    raise SystemExit(f"demo: {message}")


class Person:
    """Somebody with a home of their own, who calls ``sluice``."""

    def __init__(self, folder: Path, url: str, ca: Path) -> None:
        """Keep tokens in ``folder``."""
        self.folder, self.url, self.ca = folder, url, ca
        folder.mkdir(mode=0o700, exist_ok=True)

    def sluice(self, *words: str, told: str = "", expect: tuple[int, ...] = (0,)) -> Any:
        """Run a command with ``--json`` and return its answer."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")} | {
            "SLUICE_HOME": str(self.folder)
        }
        done = subprocess.run(
            [SLUICE, *words, "--json"],
            input=told,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            cwd=ROOT,
        )
        if done.returncode not in expect:
            fail(f"'sluice {' '.join(words)}' ended with {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}")
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def sign_in(self, email: str, password: str, tenant: str | None, new: str | None = None) -> Any:
        """Sign in; choose the password ``new`` when the first one was for one time."""
        files = {"password": password, "new-password": new}
        words = [
            "login",
            "--url",
            self.url,
            "--ca",
            str(self.ca),
            "--email",
            email,
            *(["--tenant", tenant] if tenant else []),
        ]
        for name, text in files.items():
            if text is not None:
                file = self.folder / f"{name}.txt"
                file.touch(mode=0o600)
                file.write_text(text)
                words += [f"--{name}-file", str(file)]
        try:
            return self.sluice(*words)
        finally:
            for name in files:
                (self.folder / f"{name}.txt").unlink(missing_ok=True)


class Server:
    """A ``sluice serve`` of our own."""

    def __init__(self, home: Path) -> None:
        """Start it on a free port and wait until it says where it serves."""
        self.home = home
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("SLUICE_")} | {
            "SLUICE_HOME": str(home)
        }
        self.log = (home.parent / "server.log").open("w+")
        self.child = subprocess.Popen(
            [SLUICE, "serve", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=self.environment,
            start_new_session=True,
        )
        self.code = self.url = ""
        if self.child.stdout is None:
            fail("the server has no output")
        lines: list[str] = []
        for line in self.child.stdout:
            lines.append(line.strip())
            if line.startswith("Sluicegate serves at "):
                self.url = line.removeprefix("Sluicegate serves at ").strip()
                break
        if not self.url:
            self.log.seek(0)
            fail(f"the server did not start: {' '.join(lines)} {self.log.read()[-2000:]}")
        self.code = next((word for word in lines if word.count("-") > 3), "")

    def stop(self) -> None:
        """Stop it."""
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def prepare(folder: Path) -> None:
    """Lay out the flights once; they are kept in ``.cache``."""
    if not (CACHE / "landing" / "flights.csv.gz").exists() or not (CACHE / "shop.db").exists():
        sys.path.insert(0, str(HERE))
        import fetch

        fetch.lay_out(CACHE)
    (folder / "landing").mkdir(parents=True, mode=0o700)
    (folder / "safe").mkdir(mode=0o700)
    shutil.copy(CACHE / "landing" / "flights.csv.gz", folder / "landing")
    shutil.copy(CACHE / "shop.db", folder)


def expected() -> tuple[int, int, set[tuple[Any, ...]]]:
    """Read the source again, without Sluicegate: rows in all, rows that must be rejected, rows that must land."""
    import csv
    import gzip

    with sqlite3.connect(CACHE / "shop.db") as shop:
        airlines = dict(shop.execute("SELECT carrier, name FROM airlines"))
    total = rejected = 0
    landed = set()
    with gzip.open(CACHE / "landing" / "flights.csv.gz", "rt", newline="") as text:
        for row in csv.DictReader(text):
            total += 1
            if row["dep_delay"] == "NA":
                continue
            delay = int(row["dep_delay"])
            if not -30 <= delay <= 600:
                rejected += 1
                continue
            tail = None if row["tailnum"] == "NA" else row["tailnum"].upper()
            keys = (
                int(row["year"]),
                int(row["month"]),
                int(row["day"]),
                int(row["sched_dep_time"]),
                row["carrier"],
                int(row["flight"]),
            )
            landed.add((*keys, airlines[row["carrier"]], delay, tail))
    return total, rejected, landed


def warehouse(file: Path) -> set[tuple[Any, ...]]:
    """Read the target."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        rows = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM flight_delays").fetchall()
    found = set(rows)
    if len(found) != len(rows):
        fail("the warehouse holds a row twice")
    return found


def archived(person: Person, archive: Path, identity: Path, folder: Path) -> set[tuple[Any, ...]]:
    """Open the archive and read its rows."""
    from pyarrow import parquet

    opened = folder / "opened.parquet"
    opened.unlink(missing_ok=True)
    person.sluice("archive", "open", str(archive), "--identity", str(identity), "-o", str(opened))
    table = parquet.read_table(opened)
    return set(zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True))


def leaks(home: Path, secret: str) -> list[str]:
    """Return the files beneath ``home`` that hold ``secret`` in any common spelling."""
    raw = secret.encode()
    spellings = [raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), secret.encode("utf-16-le")]
    return [
        str(file) for file in home.rglob("*") if file.is_file() and any(each in file.read_bytes() for each in spellings)
    ]


def cookies(url: str, ca: Path, token: str, key: ProofKey) -> int:
    """Call every endpoint that reads, and sign-in, and count cookies."""
    host = url.removeprefix("https://")
    connection = http.client.HTTPSConnection(host, context=ssl.create_default_context(cafile=str(ca)), timeout=30)
    sent = 0

    def ask(method: str, path: str, body: str | None = None) -> bytes:
        nonlocal sent
        proof = key.prove(method, url + path, token)
        connection.request(method, path, body, {"authorization": f"DPoP {token}", "dpop": proof})
        answer = connection.getresponse()
        sent += len(answer.headers.get_all("set-cookie") or [])
        return answer.read()

    paths = json.loads(ask("GET", "/api/v1/openapi.json"))["paths"]
    for path, methods in paths.items():
        if "get" in methods:
            ask("GET", path.replace("{name}", FLOW).replace("{id}", "0"))
    ask("POST", "/api/v1/session/login", json.dumps({"email": "nobody@example.org", "password": "x"}))
    for page in ("/", "/flows", "/health"):
        ask("GET", page)
    return sent


def prove(what: str, *, holds: bool) -> None:
    """Print a proof, or end the demo."""
    print(f"  {'✔' if holds else '✘'} {what}")
    if not holds:
        fail(f"this does not hold: {what}")


def run(work: Path) -> None:
    """Run the whole demo in ``work``."""
    began = time.monotonic()
    home = work / "home"
    environment = {**os.environ, "SLUICE_HOME": str(home)}
    subprocess.run([SLUICE, "init"], env=environment, check=True, stdout=subprocess.DEVNULL)
    server = Server(home)
    try:
        _demo(work, home, server, began)
        if os.environ.get("KEEP"):
            print(f"\nThe server goes on at {server.url} (CA: {home}/tls/ca.pem). End it with Ctrl-C.")
            server.child.wait()
    except KeyboardInterrupt:
        print()
    finally:
        server.stop()


def _demo(work: Path, home: Path, server: Server, began: float) -> None:
    ca = home / "tls" / "ca.pem"
    root_password, password, viewer_password = (secrets.token_urlsafe(18) for _ in range(3))
    root = Person(work / "root", server.url, ca)
    told = work / "code.txt"
    told.touch(mode=0o600)
    told.write_text(server.code)
    chosen = work / "chosen.txt"
    chosen.touch(mode=0o600)
    chosen.write_text(root_password)
    root.sluice(
        "bootstrap",
        "--url",
        server.url,
        "--ca",
        str(ca),
        "--code-file",
        str(told),
        "--email",
        "root@example.org",
        "--name",
        "Root",
        "--password-file",
        str(chosen),
    )
    root.sluice("tenant", "create", "airport")
    root.sign_in("root@example.org", root_password, "airport")
    editor_made = root.sluice("user", "create", "editor@example.org", "--role", "editor")
    viewer_made = root.sluice("user", "create", "viewer@example.org", "--role", "viewer")
    editor, viewer = (Person(work / name, server.url, ca) for name in ("editor", "viewer"))
    me = editor.sign_in("editor@example.org", editor_made["password"], "airport", password)
    viewer.sign_in("viewer@example.org", viewer_made["password"], "airport", viewer_password)
    data = home / "data" / me["tenant"]
    prepare(data)

    identity = work / "dpo.age"
    recipient = editor.sluice("archive", "keygen", str(identity))["recipient"]
    (work / "recipients.yaml").write_text(f"kind: recipient\nname: dpo\ntype: age\nrecipient: {recipient}\n")
    editor.sluice("apply", str(HERE), str(work / "recipients.yaml"))
    canary = secrets.token_urlsafe(32)
    editor.sluice("secret", "set", "warehouse-password", told=canary)

    print(f"Signed in to {server.url}; running the flow …", flush=True)
    first = editor.sluice("run", FLOW, "--wait", expect=(3,))
    counts = first["counts"]
    archive = data / "safe" / "flights-2013-01-01.parquet"
    rows = counts["read"] - 16
    print(f"""
  rows read          {counts["read"]:>12,}   (336,776 flights, 16 airlines)
  rows written       {counts["written"]:>12,}   ({counts["written"] // 2:,} into each of two targets)
  rows rejected      {counts["rejected"]:>12,}   (in quarantine, sealed)
  seconds            {counts["seconds"]:>12.2f}
  rows/s             {rows / counts["seconds"]:>12,.0f}
  peak memory        {counts["peak"] / 1e6:>12,.0f} MB
  archive size       {archive.stat().st_size / 1e6:>12,.2f} MB   (age, Parquet)
""")
    _proofs(work, home, server, (editor, viewer), data, archive, identity, canary, counts)
    print(f"\nAll green in {time.monotonic() - began:.1f} s.")


def _proofs(
    work: Path,
    home: Path,
    server: Server,
    people: tuple[Person, Person],
    data: Path,
    archive: Path,
    identity: Path,
    canary: str,
    counts: dict[str, Any],
) -> None:
    editor, viewer = people
    total, rejected, rows = expected()
    landed = warehouse(data / "warehouse.db")
    prove(
        f"source and target reconcile: {total:,} flights, {len(landed):,} in the warehouse, {rejected} rejected",
        holds=landed == rows
        and counts["rejected"] == rejected
        and counts["written"] == 2 * len(rows)
        and counts["read"] == total + 16,
    )
    again = editor.sluice("run", FLOW, "--wait", expect=(3,))
    prove(
        "a second run merges to the same result",
        holds=warehouse(data / "warehouse.db") == landed and again["counts"]["written"] == counts["written"],
    )
    prove("the archive decrypts to the same rows", holds=archived(editor, archive, identity, work) == landed)
    quarantined = editor.sluice("rejects", again["id"], "--limit", "500")
    prove(f"the {rejected} rejected rows are in quarantine", holds=quarantined["total"] == rejected)
    prove("the secret is nowhere in clear in the data directory", holds=leaks(home, canary) == [])
    refused = viewer.sluice("run", FLOW, expect=(4,))
    prove("a Viewer gets 403 for running the flow", holds=refused["error"]["status"] == 403)
    token = json.loads((editor.folder / "login.json").read_text())["access"]
    key = ProofKey.load(editor.folder / "client.key")
    prove("no Set-Cookie was ever sent", holds=cookies(server.url, editor.ca, token, key) == 0)


def main() -> None:
    """Run in a directory of its own, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as folder:
        run(Path(folder))


if __name__ == "__main__":
    main()
