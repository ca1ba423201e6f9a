"""Archives on this machine: make an identity, open a sealed file. Nothing appears before all of it has verified."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto import seal


def make_identity(file: Path) -> str:
    """Write a new age identity into ``file`` (mode 0600, must not exist) and return its recipient."""
    identity, recipient = seal.new_identity()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Invalid("this file exists already", where=str(file)) from None
    except OSError as fault:
        raise Invalid(f"the file cannot be made: {fault.strerror}", where=str(file)) from None
    with os.fdopen(descriptor, "w") as out:
        out.write(f"# recipient: {recipient}\n{identity.reveal()}\n")
    return recipient


def read_identity(file: Path) -> Secret:
    """Return the identity in ``file``; lines that begin with ``#`` are remarks."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("AGE-SECRET-KEY-"):
            return Secret(line.strip())
    raise Invalid("there is no age identity in it", where=str(file), hint="Make one: sluice archive keygen FILE")


def open_archive(file: Path, identity: Path, output: Path) -> int:
    """Open ``file`` into ``output`` and return the number of bytes. Raises ``Corrupt``; ``output`` is then not made."""
    draft = output.with_name(f".{output.name}.part")
    try:
        with (
            file.open("rb") as sealed,
            os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out,
        ):
            shutil.copyfileobj(seal.open_sealed(read_identity(identity), sealed), out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return output.stat().st_size
