"""How a file is sealed, and how a sealed one is opened: what steps say about it. Keys are named, never held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from sluicegate.base.model import Model, Name
from sluicegate.kit.connection import SecretName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sluicegate.base.flaws import Path
    from sluicegate.kit.step import Step

KINDS = ("age", "openpgp", "zip")
"""The kinds of seals."""
SUFFIXES: dict[str, tuple[str, ...]] = {"age": (".age",), "openpgp": (".pgp", ".gpg"), "zip": (".zip",)}
"""Endings of names that say how a file is sealed; the ending before says its format."""
RECIPIENTS = 100


class Seal(Model):
    """What every seal has."""

    type: str

    def secret_names(self) -> Iterator[tuple[str, Path]]:
        """Yield the names of the secrets it uses, and where each stands."""
        for field in type(self).model_fields:
            value = getattr(self, field)
            if isinstance(value, SecretName):
                yield value.secret, (field, "secret")

    def recipients(self) -> Iterator[tuple[str, Path]]:
        """Yield the names of the recipient documents it uses, and where each stands."""
        yield from ()

    def inner(self, item: str) -> str:
        """Return the name of what is under the seal: without the seal's own ending."""
        for suffix in SUFFIXES[self.type]:
            if item.lower().endswith(suffix) and len(item) > len(suffix):
                return item[: -len(suffix)]
        return item


class Age(Seal):
    """Seal for the holders of age identities (X25519; https://age-encryption.org/v1)."""

    type: Literal["age"] = "age"
    to: tuple[str, ...] = Field(min_length=1, max_length=RECIPIENTS)
    """age recipients (``age1…``), or names of recipient documents."""

    def recipients(self) -> Iterator[tuple[str, Path]]:
        """Yield those that are names."""
        yield from ((to, ("to", place)) for place, to in enumerate(self.to) if not to.startswith("age1"))


class OpenPgp(Seal):
    """Seal for the holders of OpenPGP keys (RFC 9580)."""

    type: Literal["openpgp"]
    to: tuple[Name, ...] = Field(min_length=1, max_length=RECIPIENTS)
    """Names of recipient documents that hold OpenPGP certificates."""
    sign: SecretName | None = None
    """Secret that holds our OpenPGP key (armoured, without a password): it signs what is sealed."""

    def recipients(self) -> Iterator[tuple[str, Path]]:
        """Yield all."""
        yield from ((to, ("to", place)) for place, to in enumerate(self.to))


class Zip(Seal):
    """Seal in a ZIP file with a passphrase (AES-256, WinZip AE-2). Anybody can read the name of the file in it."""

    type: Literal["zip"]
    passphrase: SecretName
    """Secret that holds the passphrase; one that is not as strong as a generated one is refused."""


class OpenAge(Seal):
    """Open an age file."""

    type: Literal["age"] = "age"
    identity: SecretName
    """Secret that holds the age identity (``AGE-SECRET-KEY-1…``)."""


class OpenOpenPgp(Seal):
    """Open an OpenPGP message."""

    type: Literal["openpgp"]
    identity: SecretName
    """Secret that holds our OpenPGP key (armoured, without a password)."""
    signed_by: tuple[Name, ...] = Field(default=(), max_length=RECIPIENTS)
    """Names of recipient documents, one of whom must have signed it; when empty, nobody knows who wrote it."""

    def recipients(self) -> Iterator[tuple[str, Path]]:
        """Yield all."""
        yield from ((name, ("signed_by", place)) for place, name in enumerate(self.signed_by))


class OpenZip(Seal):
    """Open a ZIP file of one member that is encrypted with AES-256."""

    type: Literal["zip"]
    passphrase: SecretName
    """Secret that holds the passphrase."""


def _kind(value: Any) -> str | None:
    """Return the type of a seal; one that says none is of age."""
    kind = value.get("type", "age") if isinstance(value, dict) else getattr(value, "type", None)
    return kind if isinstance(kind, str) else None


Sealing = Annotated[
    Annotated[Age, Tag("age")] | Annotated[OpenPgp, Tag("openpgp")] | Annotated[Zip, Tag("zip")], Discriminator(_kind)
]
"""How a file is sealed: ``age``, ``openpgp`` or ``zip``."""
Opening = Annotated[
    Annotated[OpenAge, Tag("age")] | Annotated[OpenOpenPgp, Tag("openpgp")] | Annotated[OpenZip, Tag("zip")],
    Discriminator(_kind),
]
"""How a sealed file is opened."""


def of(step: Step) -> Seal | None:
    """Return the seal that a step names, if it names one."""
    found: Seal | None = getattr(step, "seal", None)
    return found


def recipients(step: Step) -> Iterator[tuple[str, Path]]:
    """Yield the names of the recipient documents that a step's seal uses, and where in it each stands."""
    if (seal := of(step)) is not None:
        yield from seal.recipients()


def secret_names(steps: Iterable[Step]) -> Iterator[tuple[str, Step]]:
    """Yield the names of the secrets that the seals of steps use, each with its step."""
    for step in steps:
        if (seal := of(step)) is not None:
            yield from ((name, step) for name, _ in seal.secret_names())
