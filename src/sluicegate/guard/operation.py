"""An operation is the unit of the product: one frozen value per use case. Everything outside is a projection of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sluicegate.base.model import Model
from sluicegate.base.permission import Permission, Public

if TYPE_CHECKING:
    from sluicegate.guard.desk import Desk

Standing = Literal["signed in", "password", "factor", "enrol"]
"""``password``: must choose one first. ``factor``: owes a second factor. ``enrol``: must set one up first."""

_PLACE = re.compile(r"\{(\w+)\}")


class Nothing(Model):
    """Neither question nor answer."""


@dataclass(frozen=True, slots=True)
class Http:
    """The HTTP shape of an operation.

    Fields of the question that the path names come from it; for GET and DELETE the others come from the query string,
    else from the JSON body.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    """Below ``/api/v1``; ``{field}`` stands for a field of the question."""
    status: int = 200
    body_max: int = 64 * 1024
    """The largest body taken, in bytes."""
    waits: bool = False
    """The answer may be held back while there is nothing new (field ``wait``, in seconds)."""

    @property
    def places(self) -> tuple[str, ...]:
        """Names of the fields in the path."""
        return tuple(_PLACE.findall(self.path))


@dataclass(frozen=True, slots=True)
class Operation:
    """One use case. ``permission`` has no default: an operation that names none cannot exist."""

    name: str
    """``noun.verb``; the noun and verb of the CLI, and the action in the audit trail."""
    permission: Permission | Public
    http: Http
    takes: type[Model]
    gives: type[Model]
    call: Callable[[Any, Desk], Model]
    audited: bool = field(kw_only=True)
    """Whether each call leaves a record even when it is allowed. Denials always do."""
    tenant: bool = field(default=True, kw_only=True)
    """Whether it works inside a tenant. Without one, it is refused."""
    tokens: frozenset[Standing] = field(default=frozenset({"signed in"}), kw_only=True)
    """How far somebody must have come in signing in: their token says it."""
    fresh: bool = field(default=False, kw_only=True)
    """Whether a person must have proved who they are within the last minutes (step-up, SEC-A12)."""
    person: bool = field(default=False, kw_only=True)
    """Whether only a person may call it, and no API key: what would give a thief of a key more than the key."""
    hashes: bool = field(default=False, kw_only=True)
    """Whether it hashes a password, which takes memory and time: few of them run at once (SEC-A02)."""
    abroad: bool = field(default=False, kw_only=True)
    """Whether it asks another system and waits: in threads of its own, so that a slow one holds up nothing else."""
    asks: bool = field(default=False, kw_only=True)
    """Whether it has a task process do something, and waits: a tenant may have few of them at once."""

    @property
    def changes(self) -> bool:
        """Whether it may change something: all but plain reads."""
        return self.audited or self.http.method != "GET"

    @property
    def summary(self) -> str:
        """First line of the function's docstring."""
        return (self.call.__doc__ or "").strip().partition("\n")[0]
