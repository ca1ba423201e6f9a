"""Seals as the task uses them: from what a step says, its keys and a file, to a file that seals or opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

from sluicegate.base.errors import Failed, Invalid
from sluicegate.base.secret import Secret
from sluicegate.crypto.seal.stream import Sealer
from sluicegate.engine.spool import Spool
from sluicegate.kit.connection import SecretName
from sluicegate.kit.inflate import ENDINGS
from sluicegate.kit.seals import Age, OpenAge, OpenOpenPgp, OpenPgp, OpenZip, Seal, Zip

PACKED = (".parquet", *ENDINGS)
"""Endings of files that are compressed already."""


class Keys(NamedTuple):
    """What seals of a run may use."""

    recipients: Mapping[str, str]
    """Public keys by the name of their document."""
    secrets: Mapping[str, Secret]

    def recipient(self, name: str) -> str:
        """Return a public key. Raises ``Invalid`` when there is none of that name."""
        if name.startswith("age1"):
            return name
        if name not in self.recipients:
            raise Invalid(
                f"there is no recipient {name!r}",
                hint="Apply a document of kind recipient, or write the age1… key itself.",
            )
        return self.recipients[name]

    def secret(self, named: SecretName) -> Secret:
        """Return a secret. Raises ``Failed`` when it has not been set."""
        if named.secret not in self.secrets:
            raise Failed(f"The secret {named.secret!r} is not set.", hint=f"Set it: sluice secret set {named.secret}")
        return self.secrets[named.secret]


def seal(how: Seal, item: str, keys: Keys, out: BinaryIO) -> Sealer:
    """Return a file to write into; sealed, it arrives in ``out``. ``item`` is its name under the seal.

    Raises ``Invalid`` for keys that are none, or too weak, before anything is written.
    """
    if isinstance(how, Age):
        from sluicegate.crypto.seal import age

        return age.seal_to([keys.recipient(each) for each in how.to], out)
    if isinstance(how, OpenPgp):
        from sluicegate.engine import pgp

        signer = keys.secret(how.sign) if how.sign else None
        return pgp.seal_to([keys.recipient(each) for each in how.to], signer, out)
    if isinstance(how, Zip):
        from sluicegate.crypto.seal import aezip

        name = item.rpartition("/")[2]
        return aezip.seal_with(keys.secret(how.passphrase), name, out, packed=name.lower().endswith(PACKED))
    raise TypeError(how.type)


def open_(how: Seal, keys: Keys, data: BinaryIO, max_bytes: int, *, seeks: bool) -> BinaryIO:
    """Return what is under the seal of ``data``.

    An age file proves each of its chunks, so it is opened as it is read. Of the others nothing is proved before their
    end: they are opened whole first, onto the disk under a key that is nowhere but in memory. So is every file whose
    format is read out of order (``seeks``). Raises ``Corrupt`` for what does not verify, ``DataError`` for what opens
    to more than ``max_bytes``.
    """
    plain = open_unproved(how, keys, data)
    if isinstance(how, OpenAge) and not seeks:
        return plain
    with plain:
        return Spool.of(plain, max_bytes)


def named(how: Seal, keys: Keys) -> list[str]:
    """Return whom something is sealed for, as its manifest says it: age recipients, fingerprints of certificates."""
    if isinstance(how, Age):
        return [keys.recipient(each) for each in how.to]
    if isinstance(how, OpenPgp):
        from sluicegate.crypto.seal.openpgp import check_certificate

        return [check_certificate(keys.recipient(each)) for each in how.to]
    return []


def open_unproved(how: Seal, keys: Keys, data: BinaryIO) -> BinaryIO:
    """Return what is under a seal as it is read, for who does nothing with it before its end has proved it."""
    if isinstance(how, OpenAge):
        from sluicegate.crypto.seal import age

        return age.open_sealed(keys.secret(how.identity), data)
    if isinstance(how, OpenOpenPgp):
        from sluicegate.engine import pgp

        return pgp.open_sealed(keys.secret(how.identity), [keys.recipient(each) for each in how.signed_by], data)
    if isinstance(how, OpenZip):
        from sluicegate.crypto.seal import aezip

        return aezip.open_with(keys.secret(how.passphrase), data)
    raise TypeError(how.type)
