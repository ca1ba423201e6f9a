"""age v1 files (https://age-encryption.org/v1), written and read as streams in constant memory.

An age file is authenticated in chunks of 64 KiB with a marked last one: reading gives only bytes that were checked, and
a cut or changed file fails at the read that meets it. Until a read has returned ``b""``, do not act on the whole.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, BinaryIO

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.seal.stream import Collector, Pipe, Sealer, Sink, Source, reading

_RECIPIENTS = 1000
# A header that does not end is parsed in quadratic time (3 MB: a minute), so we stop feeding it. 1000 recipients
# take 100 KB; the first chunk and the library's own buffer come on top.
_HEADER = 192 * 1024


def _encrypt(recipients: list[Any], pipe: Pipe, out: BinaryIO) -> None:
    import pyrage

    source, sink = Source(pipe.read), Sink(out.write)
    try:
        pyrage.encrypt_io(source, sink, recipients)
        sink.check()
        pipe.finish()
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is raised in the thread of the writer
        pipe.fail(sink.fault or source.fault or fault)


def _decrypt(identities: list[Any], pipe: Pipe, data: BinaryIO) -> None:
    import pyrage

    blocks = Collector(pipe)
    sink = Sink(blocks.write)
    fed = 0

    def read(size: int) -> bytes:
        nonlocal fed
        if fed > _HEADER and not sink.begun:
            raise Corrupt
        taken = data.read(size)
        fed += len(taken)
        return taken

    source = Source(read)
    try:
        pyrage.decrypt_io(source, sink, identities)
        sink.check()
        blocks.flush()
        pipe.end()
    except (pyrage.DecryptError, OSError):  # the library's own words tell causes apart
        pipe.fail(sink.fault or source.fault or Corrupt())
    except BaseException as fault:  # noqa: BLE001 - whatever it is, it is raised in the thread of the reader
        pipe.fail(fault)


def seal_to(recipients: Sequence[str], out: BinaryIO) -> Sealer:
    """Return a file to write into; what arrives in ``out`` opens with any of the recipients' identities.

    Raises ``Invalid`` for a bad recipient, none, or more than 1000.
    """
    if isinstance(recipients, str) or not 1 <= len(recipients) <= _RECIPIENTS:
        raise Invalid(f"A sealed archive needs a list of 1 to {_RECIPIENTS} recipients.")
    return Sealer(partial(_encrypt, [_recipient(text) for text in recipients]), out)


def open_sealed(identity: Secret, data: BinaryIO) -> BinaryIO:
    """Return a stream of the plaintext of an age archive. ``data`` stays open and is the caller's to close.

    ``identity`` is an ``AGE-SECRET-KEY-1…`` line, or a whole identity file (several, comments). Raises ``Invalid`` when
    it is none. A wrong identity, a changed or a cut archive raises ``Corrupt`` at the read that meets it.
    """
    return reading(partial(_decrypt, _identities(identity)), data)


def new_identity() -> tuple[Secret, str]:
    """Return a fresh identity (keep it away from this machine) and its recipient (to seal to)."""
    import pyrage

    made = pyrage.x25519.Identity.generate()
    return Secret(str(made)), str(made.to_public())


def check_recipient(text: str) -> str:
    """Return ``text`` as the one form of an age X25519 recipient (``age1…``). Raises ``Invalid``."""
    return str(_recipient(text))


def _recipient(text: str) -> Any:
    import pyrage

    plain = text.strip()
    if plain.upper().startswith("AGE-SECRET-KEY-"):
        raise Invalid("That is the secret identity, not the recipient.", hint="Give the age1… line; make a new pair.")
    try:
        return pyrage.x25519.Recipient.from_str(plain)
    except pyrage.RecipientError:
        raise Invalid("That is not an age recipient.", hint="It starts with age1 and has 62 characters.") from None


def _identities(identity: Secret) -> list[Any]:
    import pyrage

    lines = [line.strip() for line in identity.reveal().splitlines()]
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise Invalid("That is not an age identity.", hint="It starts with AGE-SECRET-KEY-1.")
    return found
