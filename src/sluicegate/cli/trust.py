"""Makes this machine trust the local CA: Debian's store, and the stores that Chromium and Firefox keep for a person.

The only commands that the product starts outside a run: both belong to the operating system, neither sees user text.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import click

from sluicegate.base.errors import Invalid
from sluicegate.base.home import home
from sluicegate.cli import show
from sluicegate.cli.commands import json_option

SYSTEM = Path("/usr/local/share/ca-certificates")
FILE = "sluicegate-local.crt"
NICKNAME = "Sluicegate local CA"
_BROWSERS = (
    ".pki/nssdb", ".local/share/pki/nssdb", ".mozilla/firefox/*", ".config/mozilla/firefox/*",
    "snap/firefox/common/.mozilla/firefox/*", "snap/chromium/current/.pki/nssdb",
)  # fmt: skip
_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin", "/sbin", "/bin"))


class Step(NamedTuple):
    """What was done with one store; ``left`` says what is still to do, and is empty when nothing is."""

    store: str
    done: str
    left: str = ""


@click.command()
@click.option("--remove", is_flag=True, help="Take it out again.")
@json_option
def trust(*, remove: bool, as_json: bool) -> int:
    """Make this machine and your browsers trust the local CA, or no longer. The machine's own store needs root."""
    steps = change(home(), remove=remove)
    if as_json:
        show.answer({"items": [step._asdict() for step in steps]}, as_json=True)
    else:
        for step in steps:
            print(f"{step.done or 'left'}  {step.store}{': ' + step.left if step.left else ''}")
    return int(any(step.left for step in steps))


def command(_name: str) -> click.Command:
    """Return the command."""
    return trust


def change(folder: Path, *, remove: bool, system: Path = SYSTEM, person: Path | None = None) -> list[Step]:
    """Put the CA of the home ``folder`` into every store there is, or take it out."""
    authority = folder / "tls" / "ca.pem"
    if not remove and not authority.exists():
        raise Invalid("there is no local CA", where=str(authority), hint="Run: sluice init")
    return [_system(authority, system, remove=remove), *_browsers(authority, person or Path.home(), remove=remove)]


def _system(authority: Path, store: Path, *, remove: bool) -> Step:
    target = store / FILE
    if remove and not target.exists():
        return Step(str(store), "not in")
    try:
        if remove:
            target.unlink()
        else:
            target.write_bytes(authority.read_bytes())
            target.chmod(0o644)
    except OSError as fault:
        return Step(str(store), "", f"{fault.strerror}; run this once more as root")
    words = ["update-ca-certificates", *(["--fresh"] if remove else [])]
    if store != SYSTEM:
        words += ["--localcertsdir", str(store), "--etccertsdir", str(store.parent / "certs")]
    said = _run(*words)
    return Step(str(store), "" if said else _did(remove=remove), f"{' '.join(words)}: {said}" if said else "")


def _browsers(authority: Path, person: Path, *, remove: bool) -> list[Step]:
    steps = []
    for folder in sorted({each for pattern in _BROWSERS for each in person.glob(pattern)}):
        if not (folder / "cert9.db").exists():
            continue
        if said := _run("certutil", "-L", "-d", f"sql:{folder}"):
            steps.append(Step(str(folder), "", said))
            continue
        known = _run("certutil", "-L", "-d", f"sql:{folder}", "-n", NICKNAME) == ""
        if remove and not known:
            steps.append(Step(str(folder), "not in"))
            continue
        words = ["certutil", "-d", f"sql:{folder}", "-n", NICKNAME]
        said = _run(*words, "-D") if known else ""
        if not remove and not said:
            said = _run(*words, "-A", "-t", "C,,", "-i", str(authority))
        steps.append(Step(str(folder), "" if said else _did(remove=remove), said))
    return steps or [Step("browsers", "none found")]


def _did(*, remove: bool) -> str:
    return "taken out" if remove else "put in"


def _run(*words: str) -> str:
    """Run a command of the operating system; return why it did not work, or nothing."""
    found = shutil.which(words[0], path=_PATH)
    if found is None:
        package = {"certutil": "libnss3-tools", "update-ca-certificates": "ca-certificates"}[words[0]]
        return f"the command {words[0]} is missing; install {package} and run this once more"
    done = subprocess.run(  # noqa: S603 - two commands of the system, fixed words and our own paths
        [found, *words[1:]],
        env={"PATH": _PATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = (done.stderr or done.stdout).strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"it ended with {done.returncode}")
