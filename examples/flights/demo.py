"""The demo: a fresh server over TLS, real flights, one flow, and proofs. Run it with ``make demo``.

``KEEP=1`` leaves the server running and prints how to sign in.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from evidence import Truth, archived, expected, leaks, warehouse
from watch import Watch

from sluicegate.crypto.dpop import ProofKey

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SLUICE = str(Path(sys.executable).with_name("sluice"))
CACHE = ROOT / ".cache" / "flights"
FLOW = "flights-to-warehouse"


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
            "SLUICE_HOME": str(home),
            "TMPDIR": str(home.parent / "tmp"),
        }
        (home.parent / "tmp").mkdir()
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
        try:
            self._listen()
        except BaseException:
            self.stop()
            raise

    def _listen(self) -> None:
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

    def errors(self) -> str:
        """Return what its log has of errors."""
        with (self.home.parent / "server.log").open() as log:
            return "".join(line for line in log if '"log.level": "error"' in line)

    def stop(self) -> None:
        """Stop it, in order."""
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def lay_out() -> None:
    """Lay out the flights once; they are kept in ``.cache``."""
    if not (CACHE / "landing" / "flights.csv.gz").exists() or not (CACHE / "shop.db").exists():
        import fetch

        fetch.lay_out(CACHE)


def reckon(laid: Future[None]) -> Truth:
    """Read what must land, once the flights are laid out."""
    laid.result()
    return expected(CACHE)


def prepare(folder: Path) -> None:
    """Put the flights where the tenant's connections look for them."""
    (folder / "landing").mkdir(parents=True, mode=0o700)
    (folder / "safe").mkdir(mode=0o700)
    shutil.copy(CACHE / "landing" / "flights.csv.gz", folder / "landing")
    shutil.copy(CACHE / "shop.db", folder)


def open_archive(person: Person, archive: Path, identity: Path, target: Path) -> Path:
    """Open the archive as its recipient does."""
    person.sluice("archive", "open", str(archive), "--identity", str(identity), "-o", str(target))
    return target


def ask_everything(person: Person) -> None:
    """Call every endpoint that reads, sign-in, and the pages: none may answer with a cookie."""
    host = person.url.removeprefix("https://")
    connection = http.client.HTTPSConnection(
        host, context=ssl.create_default_context(cafile=str(person.ca)), timeout=30
    )
    token = json.loads((person.folder / "login.json").read_text())["access"]
    key = ProofKey.load(person.folder / "client.key")

    def ask(method: str, path: str, body: str | None = None) -> bytes:
        proof = key.prove(method, person.url + path, token)
        told = {"authorization": f"DPoP {token}", "dpop": proof, "content-type": "application/json"}
        connection.request(method, path, body, told)
        return connection.getresponse().read()

    paths = json.loads(ask("GET", "/api/v1/openapi.json"))["paths"]
    for path, methods in paths.items():
        if "get" in methods:
            ask("GET", path.replace("{name}", FLOW).replace("{id}", "0"))
    ask("POST", "/api/v1/session/login", json.dumps({"email": "nobody@example.org", "password": "x"}))
    for page in ("/", "/flows", "/health"):
        ask("GET", page)
    connection.close()


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
    with (home / "sluice.toml").open("a") as out:  # the demo's own connection to a closed port may be tried
        out.write('\n[[egress]]\nhost = "localhost"\n')
    beside = ThreadPoolExecutor(2)  # a second person's commands, and what must land, while the first goes on
    laid = beside.submit(lay_out)
    server = Server(home)
    watch = Watch(server.url, home / "tls")
    try:
        password = _demo(work, home, watch, server.code, (beside, laid), began)
        if os.environ.get("KEEP"):
            _keep(work, home, server, password)
    except KeyboardInterrupt:
        print()
    except SystemExit:
        print(server.errors(), end="", file=sys.stderr)
        raise
    finally:
        watch.stop()
        server.stop()
        beside.shutdown(cancel_futures=True)


def _keep(work: Path, home: Path, server: Server, password: str) -> None:
    kept = work / "password.txt"
    kept.touch(mode=0o600)
    kept.write_text(password + "\n")
    print(
        f"""
The server goes on until Ctrl-C or SIGTERM; then all of it is removed.

  address   {server.url}
  CA        {home / "tls" / "ca.pem"}
  tenant    airport
  e-mail    editor@example.org
  password  in {kept}

  SLUICE_HOME={work / "editor"} SLUICE_URL={server.url} {SLUICE} runs""",
        flush=True,
    )
    server.child.wait()


def _demo(
    work: Path, home: Path, server: Watch, code: str, beside: tuple[ThreadPoolExecutor, Future[None]], began: float
) -> str:
    others, laid = beside
    truth = others.submit(reckon, laid)
    ca = home / "tls" / "ca.pem"
    root_password, password, viewer_password = (secrets.token_urlsafe(18) for _ in range(3))
    root = Person(work / "root", server.url, ca)
    told = work / "code.txt"
    told.touch(mode=0o600)
    told.write_text(code)
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

    def welcome(role: str, password: str) -> tuple[Person, str]:
        made = root.sluice("user", "create", f"{role}@example.org", "--role", role)
        person = Person(work / role, server.url, ca)
        return person, person.sign_in(f"{role}@example.org", made["password"], "airport", password)["tenant"]

    other = others.submit(welcome, "viewer", viewer_password)
    editor, tenant = welcome("editor", password)
    viewer, _ = other.result()
    data = home / "data" / tenant
    laid.result()
    prepare(data)

    identity = work / "dpo.age"
    canary = secrets.token_urlsafe(32)
    kept = others.submit(editor.sluice, "secret", "set", "elsewhere-password", told=canary)
    recipient = editor.sluice("archive", "keygen", str(identity))["recipient"]
    kept.result()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        (work / "own.yaml").write_text(
            f"kind: recipient\nname: dpo\ntype: age\nrecipient: {recipient}\n---\n"
            "kind: connection\nname: elsewhere\ntype: postgres\nhost: localhost\n"
            f"port: {closed.getsockname()[1]}\ndatabase: shop\nuser: loader\n"
            "password: { secret: elsewhere-password }\n"
        )
        editor.sluice("apply", str(HERE), str(work / "own.yaml"))
        tried = editor.sluice("test", "elsewhere", expect=(1,))["error"]  # bound, but nobody listens
    if tried["code"] != "unreachable":
        fail(f"the closed port answered: {tried}")

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
    uses = root.sluice("audit", "list", "--action", "secret.use")["items"]
    own = [each["about"] for each in uses if not each["about"]["name"].startswith("sluicegate-")]  # not the product's
    given = [{"name": "elsewhere-password", "purpose": "test"}]
    prove("the vault gave the secret to a task, and put it on record", holds=own == given)
    _proofs(work, server, (editor, viewer), data, (archive, identity), canary, (others, truth.result()), counts)
    print(f"\nAll green in {time.monotonic() - began:.1f} s.")
    return password


def _proofs(
    work: Path,
    server: Watch,
    people: tuple[Person, Person],
    data: Path,
    sealed: tuple[Path, Path],
    canary: str,
    known: tuple[ThreadPoolExecutor, Truth],
    counts: dict[str, Any],
) -> None:
    (editor, viewer), (others, truth) = people, known
    landed = warehouse(data / "warehouse.db")
    prove(
        f"source and target reconcile: {truth.total:,} flights, {len(landed):,} in the warehouse, "
        f"{truth.rejected} rejected",
        holds=landed.equals(truth.rows)
        and counts["rejected"] == truth.rejected
        and counts["written"] == 2 * len(landed)
        and counts["read"] == truth.total + 16,
    )
    again = editor.sluice("run", FLOW, "--wait", expect=(3,))
    opened = others.submit(open_archive, editor, *sealed, work / "opened.parquet")
    refused = others.submit(viewer.sluice, "run", FLOW, expect=(4,))
    quarantined = others.submit(editor.sluice, "rejects", again["id"], "--limit", "500")
    prove(
        "a second run merges to the same result",
        holds=warehouse(data / "warehouse.db").equals(landed) and again["counts"]["written"] == counts["written"],
    )
    ask_everything(editor)
    prove("the archive decrypts to the same rows", holds=archived(opened.result()).equals(landed))
    prove(
        f"the {truth.rejected} rejected rows are in quarantine",
        holds=quarantined.result()["total"] == truth.rejected,
    )
    secret, clear = leaks(work, canary, FLOW)  # the search does find what is in clear
    prove("the secret is nowhere in clear: data directory, log, temporary files", holds=not secret and bool(clear))
    prove("a Viewer gets 403 for running the flow", holds=refused.result()["error"]["status"] == 403)
    prove(f"no Set-Cookie in any of {server.answers} answers", holds=server.cookies == 0 and server.answers > 50)


def main() -> None:
    """Run in a directory of its own, removed at the end: by SIGTERM, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as folder:
        run(Path(folder))


if __name__ == "__main__":
    main()
