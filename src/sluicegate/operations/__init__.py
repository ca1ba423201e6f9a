"""The use cases, as one table. HTTP routes, OpenAPI, the command line and the security matrix are projections of it.

``OPERATIONS`` is put together when first asked for; a command asks for those of its own noun, and loads no others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluicegate.guard.operation import Operation

    OPERATIONS: tuple[Operation, ...]

_NOUNS = {
    "session": ("session",),
    "keys": ("session", "service", "key"),
    "factors": ("factor",),
    "people": ("tenant", "user"),
    "roles": ("user",),
    "tenants": ("tenant", "superadmin"),
    "invitations": ("user", "invitation", "password"),
    "profile": ("profile", "grant", "notice"),
    "mail": ("mail",),
    "tenancy": ("policy",),
    "sso": ("sso",),
    "support": ("support",),
    "definitions": ("definition", "flow", "connection", "recipient"),
    "explore": ("connection", "flow", "run"),
    "runs": ("run",),
    "state": ("state",),
    "downloads": ("ticket", "run", "audit"),
    "archives": ("archive",),
    "secrets": ("secret",),
    "system": ("system", "audit"),
    "vault": ("vault", "system"),
    "seal": ("seal",),
}
"""Of what the operations of each module are."""


def of(noun: str) -> tuple[Operation, ...]:
    """Return the operations of one noun."""
    return tuple(each for module, nouns in _NOUNS.items() if noun in nouns for each in _table(module, noun))


def find(name: str) -> Operation:
    """Return an operation by its name."""
    noun = name.partition(".")[0]
    return next(
        each for module, nouns in _NOUNS.items() if noun in nouns for each in _table(module, noun) if each.name == name
    )


def _table(module: str, noun: str) -> tuple[Operation, ...]:
    made: tuple[Operation, ...] = import_module(f"{__name__}.{module}").OPERATIONS
    return tuple(each for each in made if each.name.startswith(f"{noun}."))


def __getattr__(name: str) -> tuple[Operation, ...]:
    if name != "OPERATIONS":
        raise AttributeError(name)
    found = tuple(each for module in _NOUNS for each in import_module(f"{__name__}.{module}").OPERATIONS)
    globals()["OPERATIONS"] = found
    return found
