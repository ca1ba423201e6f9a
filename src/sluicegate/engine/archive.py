"""Archives on this machine: make a key, open, verify and reseal. Nothing appears before all of it has verified."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto import passphrase, seal
from sluicegate.crypto.manifest import SUFFIX
from sluicegate.engine import resealing
from sluicegate.engine.job import Job
from sluicegate.engine.seals import Keys, open_unproved
from sluicegate.kit.seals import Opening

_AGE = (b"age-encryption.org/", b"-----BEGIN AGE")
_ZIP = b"PK\3\4"
_CERTIFICATE_MAX = 256 << 10


def make_key(file: Path, kind: str, name: str = "") -> dict[str, str]:
    """Write a new key for seals of a ``kind`` into ``file`` (mode 0600, must not exist); return what to seal for."""
    if kind == "age":
        return {"recipient": make_identity(file)}
    if kind == "zip":
        made = passphrase.new_passphrase()
        _write(file, made.reveal() + "\n")
        return {"passphrase": "in the file"}
    from sluicegate.crypto.seal import openpgp

    key, certificate = openpgp.new_key(name or "archives")
    _write(file, key.reveal())
    return {"recipient": certificate}


def make_identity(file: Path) -> str:
    """Write a new age identity into ``file`` (mode 0600, must not exist) and return its recipient."""
    identity, recipient = seal.new_identity()
    _write(file, f"# recipient: {recipient}\n{identity.reveal()}\n")
    return recipient


def _write(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Invalid("this file exists already", where=str(file)) from None
    except OSError as fault:
        raise Invalid(f"the file cannot be made: {fault.strerror}", where=str(file)) from None
    with os.fdopen(descriptor, "w") as out:
        out.write(text)


def read_identity(file: Path) -> Secret:
    """Return the identity in ``file``; lines that begin with ``#`` are remarks."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("AGE-SECRET-KEY-"):
            return Secret(line.strip())
    raise Invalid("there is no age identity in it", where=str(file), hint="Make one: sluice archive keygen FILE")


def kind_of(file: Path) -> str:
    """Return how a file is sealed, by its first bytes."""
    with file.open("rb") as data:
        first = data.read(32)
    if first.startswith(_AGE):
        return "age"
    return "zip" if first.startswith(_ZIP) else "openpgp"


def open_archive(file: Path, identity: Path, output: Path, signed_by: Sequence[Path] = ()) -> int:
    """Open ``file`` into ``output`` and return the number of bytes.

    ``signed_by``: OpenPGP certificates, of which one must have signed it. Raises ``Corrupt``; nothing is made then.
    """
    kind = kind_of(file)
    if signed_by and kind != "openpgp":
        raise Invalid(f"an archive of type {kind} is signed by nobody", where="--signed-by")
    how, keys = _opening(kind, identity, signed_by)
    draft = output.with_name(f".{output.name}.part")
    try:
        with (
            file.open("rb") as sealed,
            os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out,
        ):
            with open_unproved(how, keys, sealed) as plain:
                shutil.copyfileobj(plain, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return output.stat().st_size


def verify_archive(file: Path, key: Path | None, identity: Path | None) -> dict[str, Any]:
    """Return what is known of an archive with its manifest beside it; ``key`` is the installation's, PEM."""
    ask: dict[str, Any] = {"public": key.read_text(encoding="utf-8") if key else ""}
    secrets: dict[str, Secret] = {}
    if identity is not None:
        kind = kind_of(file)
        ask["open"], secrets["key"] = _named(kind, "key"), _secret(kind, identity)
    return resealing.verify(_job(file, ask, secrets, {}), _quiet, _never)


def reseal_archive(
    file: Path, identity: Path, to: Sequence[str], sign: Path | None, new_passphrase: Path | None
) -> dict[str, Any]:
    """Seal an archive for others, in its place; ``to`` are age recipients, or files with OpenPGP certificates.

    A manifest beside it is written anew, and says that nobody signed it: only a server can. Raises ``Corrupt``; the
    archive stays as it was then.
    """
    kind = kind_of(file)
    secrets = {"key": _secret(kind, identity)}
    recipients: dict[str, str] = {}
    how: dict[str, Any] = {"type": kind}
    if kind == "zip":
        if new_passphrase is None:
            raise Invalid("a ZIP file is sealed with a passphrase", where="--passphrase")
        secrets["new"], how["passphrase"] = _secret(kind, new_passphrase), {"secret": "new"}
    elif kind == "openpgp":
        recipients = {f"r{place}": _certificate(Path(each)) for place, each in enumerate(to)}
        how["to"] = list(recipients)
        if sign is not None:
            secrets["sign"], how["sign"] = _secret(kind, sign), {"secret": "sign"}
    else:
        how["to"] = [seal.check_recipient(each) for each in to]
    if kind != "zip" and not to:
        raise Invalid("name somebody to seal for", where="--to")
    ask = {"open": _named(kind, "key"), "seal": how, "bare": not file.with_name(file.name + SUFFIX).exists()}
    return resealing.reseal(_job(file, ask, secrets, recipients), _quiet, _never)


def _opening(kind: str, identity: Path, signed_by: Sequence[Path]) -> tuple[Any, Keys]:
    from pydantic import TypeAdapter

    recipients = {f"r{place}": _certificate(each) for place, each in enumerate(signed_by)}
    told = _named(kind, "key") | ({"signed_by": tuple(recipients)} if recipients else {})
    return TypeAdapter(Opening).validate_python(told), Keys(recipients, {"key": _secret(kind, identity)})


def _named(kind: str, secret: str) -> dict[str, Any]:
    return {"type": kind, "passphrase" if kind == "zip" else "identity": {"secret": secret}}


def _secret(kind: str, file: Path) -> Secret:
    if kind == "age":
        return read_identity(file)
    return Secret(file.read_text(encoding="utf-8").strip("\r\n"))


def _certificate(file: Path) -> str:
    with file.open("rb") as data:
        raw = data.read(_CERTIFICATE_MAX)
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise Invalid("a certificate is text here (gpg --armor --export)", where=str(file)) from None


def _job(file: Path, ask: dict[str, Any], secrets: dict[str, Secret], recipients: dict[str, str]) -> Job:
    """Return the job that treats the folder of ``file`` as a connection."""
    here = {"kind": "connection", "name": "here", "type": "files"}
    return Job(
        what="verify", run="", root=file.resolve().parent, connections={"here": here}, local=True,
        recipients=recipients, secrets=secrets, ask={"connection": "here", "item": file.name, **ask},
    )  # fmt: skip


def _quiet(_kind: str, _body: dict[str, Any]) -> None:
    """Report to nobody."""


def _never() -> bool:
    return False
