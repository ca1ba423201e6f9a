"""The command: exit code 0 when every attack is refused, 1 when one is not, 2 when it could not begin."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from sluicegate.base.errors import SluiceError, Usage
from sluicegate.base.secret import Secret
from sluicegate.conformance.tokens import suite
from sluicegate.conformance.tokens.client import Account, Target
from sluicegate.conformance.tokens.suite import Finding


def main(words: Sequence[str] | None = None) -> int:
    """Attack an installation and say what came of it."""
    told = _parser().parse_args(words)
    try:
        codes = [Secret(line) for line in _secret(told.codes_file).reveal().split()] if told.codes_file else []
        account = Account(told.email, _secret(told.password_file), told.tenant, codes)
        target = Target(told.url, told.ca)
        try:
            found = list(suite.run(target, account, told.ca.read_bytes() if told.ca else b"", patient=told.patient))
        finally:
            target.close()
    except (SluiceError, OSError) as fault:
        return _complain(fault)
    out = sys.stdout
    out.write(_as_json(found) if told.json else _as_table(found))
    return 0 if all(each.ok for each in found) else 1


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m sluicegate.conformance.tokens",
        description="Attack the tokens of a running installation. "
        "It signs in as somebody you name, changes nothing, and signs out.",
    )
    made.add_argument(
        "url", help="where it serves, such as https://localhost:8443; there is no traffic to anything else"
    )
    made.add_argument("--email", required=True, help="who signs in; a Viewer will do")
    made.add_argument("--password-file", required=True, help="file that holds the password; '-' reads standard input")
    made.add_argument("--codes-file", help="file that holds three recovery codes, for who has a second factor")
    made.add_argument("--tenant", help="name of the tenant")
    made.add_argument("--ca", type=Path, help="certificate of the authority to trust; the system's without it")
    made.add_argument("--patient", action="store_true", help="also wait until a token is over (some minutes)")
    made.add_argument("--json", action="store_true", help="print findings as JSON")
    return made


def _secret(file: str) -> Secret:
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    if not text.strip():
        raise Usage("the file is empty", where=file)
    return Secret(text.rstrip("\n"))


def _complain(fault: SluiceError | OSError) -> int:
    if isinstance(fault, OSError):
        sys.stderr.write(f"tokens: {fault.filename}: {fault.strerror}\n")
        return 2
    place = f"{fault.where}: " if fault.where else ""
    sys.stderr.write(f"tokens: {place}{fault.message}\n" + (f"        {fault.hint}\n" if fault.hint else ""))
    return 2


def _as_json(found: Iterable[Finding]) -> str:
    items = [each._asdict() for each in found]
    return json.dumps({"ok": all(each["ok"] for each in items), "findings": items}, indent=1) + "\n"


def _as_table(found: Sequence[Finding]) -> str:
    wide = max(len(each.name) for each in found)
    lines = [f"{each.group:<10} {each.name:<{wide}}  {'ok ' if each.ok else 'RED'}  {each.told}" for each in found]
    bad = sum(not each.ok for each in found)
    lines.append(f"{len(found)} findings, {bad} red" if bad else f"{len(found)} findings, none red")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
