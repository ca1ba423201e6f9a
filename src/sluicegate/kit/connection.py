"""How to reach one outside system: the first of the three plugin shapes.

A connection class is its configuration, its JSON Schema, its form and its behaviour, in one file whose name is its
type. ``open`` gives a session; what the session can do is told by the protocols below and nothing else.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import AfterValidator, Field, model_validator

from sluicegate.base.errors import Egress, Invalid
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import NAME_PATTERN, Model, Name
from sluicegate.kit.lineage import Tags
from sluicegate.kit.mode import Mode
from sluicegate.kit.target import Ddl
from sluicegate.kit.watermark import Bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from sluicegate.base.secret import Secret
    from sluicegate.kit.context import Context
    from sluicegate.kit.reference import Reference
    from sluicegate.kit.rows import Marker, Parcel, Receipt, Stage
    from sluicegate.kit.target import Keys, Target


class SecretName(Model):
    """A reference to a secret by name. Definitions hold references, never secrets."""

    secret: Name
    """Name of the secret, as given to ``sluice secret set NAME``."""

    @model_validator(mode="before")
    @classmethod
    def _name_only(cls, value: Any) -> Any:
        """Refuse all else in one sentence: what stands here instead is most likely the secret itself."""
        if isinstance(value, SecretName) or (isinstance(value, dict) and set(value) == {"secret"}):
            return value
        raise Misfit("write { secret: NAME }: a definition names a secret and never holds one")


def secrets_in(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the secrets in a stored body; an older release may have written it, so it is not parsed."""
    found = (value["secret"] for value in body.values() if isinstance(value, dict) and set(value) == {"secret"})
    return frozenset(name for name in found if isinstance(name, str))  # a column can be called so, too: ``tags``


def _host(value: str) -> str:
    from sluicegate.kit.net import clean_host

    try:
        clean_host(value)
    except Egress as fault:  # said without what was written: it may hold a password
        raise Misfit(f"{fault.message} {fault.hint}") from None
    return value


Host = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_host)]
"""A host name or an address, and nothing around it."""

Tls = Literal["verify-full", "verify-ca", "require", "disable"]


class Connection(Model):
    """How to reach one outside system. Immutable; holds names of secrets, never secrets."""

    kind: Literal["connection"] = "connection"
    name: Name
    """Name of this connection."""
    description: str = Field(default="", max_length=2000)
    """What this connection is for."""
    type: str
    """Which connector."""
    residency: str = Field(default="", max_length=64, pattern=f"^$|{NAME_PATTERN}")
    """Where its data lies (``eu``): a word of yours, which a policy may ask for."""
    tags: dict[str, Tags] = Field(default={}, max_length=2000)
    """What columns hold that are called so in any of its items, ``column: [personal]``."""
    refuses: Tags = ()
    """Columns with one of these tags are not written to it."""
    accepts: Tags = ()
    """Tags that it is meant for: columns whose tag the policy ``guarded`` names go only where it is accepted."""

    destination: ClassVar[frozenset[str]] = frozenset()
    """Fields that say where the connection leads. Changing one clears the secrets it uses (SEC-V08)."""
    single_writer: ClassVar[bool] = False
    """Whether the system takes one load at a time, so that two loads are carried out one after the other."""

    holds: ClassVar[Literal["tables", "files", "secrets"]] = "tables"
    """What its items are. What holds secrets gives them to other connections, and nothing to flows."""
    ddl: ClassVar[Ddl] = Ddl()
    """What its tables can be made with."""
    paths: ClassVar[frozenset[str]] = frozenset()
    """Fields that are paths: on a server each must lie beneath the tenant's own directory."""

    def open(self, ctx: Context) -> AbstractContextManager[Any]:
        """Open a session. Raises ``Unreachable``, ``Egress`` or ``Failed``."""
        raise NotImplementedError

    def check_reference(self, reference: Reference) -> None:  # noqa: ARG002 - those that hold secrets look at it
        """Raise ``Invalid`` when this cannot be where a secret lies; nobody is asked."""
        raise Invalid(
            f"the connection {self.name!r} keeps no secrets",
            where="reference",
            hint="Name one to OpenBao, Vault or AWS Secrets Manager.",
        )

    def secret_names(self) -> frozenset[str]:
        """Return the names of all secrets this connection refers to."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return frozenset(value.secret for value in values if isinstance(value, SecretName))


class Entry(NamedTuple):
    """One item that a connection offers: a table, view or file."""

    name: str
    type: Literal["table", "view", "file", "folder"]
    bytes: int | None = None
    rows: int | None = None
    modified: float | None = None


class Read(Model):
    """What to read."""

    item: str
    """Table, view or file."""
    columns: tuple[str, ...] | None = None
    """Only these columns, in this order; all when absent."""
    limit: int | None = None
    """At most this many rows (previews)."""
    since: Bound | None = None
    """Rows below need not come: who asks leaves them out. Those that hold NULL come unless it says skip."""


@runtime_checkable
class Tests(Protocol):
    """Can say quickly whether it works."""

    def test(self) -> str:
        """Reach the system and return one line about it (product and version), or raise."""


@runtime_checkable
class Lists(Protocol):
    """Can list its items."""

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield the items, sorted by name."""


@runtime_checkable
class ReadsRows(Protocol):
    """Gives rows with types."""

    def read(self, ask: Read) -> pa.RecordBatchReader:
        """Return the rows lazily, in batches of about ``BATCH_BYTES``."""


@runtime_checkable
class FiltersRows(Protocol):
    """Has the system itself leave out rows that are not new."""

    def filters(self, ask: Read) -> bool:
        """Tell whether it does so for ``ask.since``, whose column is among those asked for."""


@runtime_checkable
class TellsKeys(Protocol):
    """Knows by what its tables tell their rows apart."""

    def keys(self, item: str) -> Keys:
        """Return the primary key and the indexes of a table; nothing for a view. ``Missing`` when it is not there."""


@runtime_checkable
class PassesRows(Protocol):
    """Gives rows to a system of its own kind in the form that both speak, so that nobody looks into them."""

    def passage(self, ask: Read, stage: Stage) -> Iterator[Parcel] | None:
        """Return the rows so, when ``stage``, into which nothing was written yet, takes each column unchanged."""

    def obstacle(self, ask: Read, target: object, item: str, mode: Mode) -> str:
        """Return why they would not pass into ``item`` of the session ``target``; empty when they would."""


@runtime_checkable
class WritesRows(Protocol):
    """Takes rows with types."""

    def stage(self, item: str, schema: pa.Schema, mode: Mode, marker: Marker, target: Target = ...) -> Stage:
        """Begin a load into table ``item``; ``target`` says how it is made, and what may be taken away from it."""


@runtime_checkable
class ReadsFiles(Protocol):
    """Gives bytes."""

    def fetch(self, path: str) -> BinaryIO:
        """Open the file for reading; ``Failed`` names a missing file."""

    def size(self, path: str) -> int | None:
        """Return its size in bytes, for progress."""


@runtime_checkable
class GivesSecrets(Protocol):
    """Keeps secrets and gives them."""

    def secret(self, reference: Reference) -> Secret:
        """Return one secret, read this moment. ``Failed`` when it is not there, or no text."""


class FileStage(Protocol):
    """A file in the making: nothing appears under its name before ``commit``."""

    done: Receipt | None
    out: BinaryIO

    def commit(self, rows: int) -> Receipt:
        """Flush, publish under the final name by an atomic rename, and say what landed."""

    def abort(self) -> None:
        """Remove what was staged."""


@runtime_checkable
class WritesFiles(Protocol):
    """Takes bytes."""

    def put(self, path: str, marker: Marker) -> FileStage:
        """Begin a file."""
