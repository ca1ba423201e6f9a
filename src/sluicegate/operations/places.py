"""Where secrets go: each to one server, the one it was set for (SEC-V08).

Else somebody who may write connections could have a secret sent to a server of their own: by a second connection that
names it, by moving the first, or by a connection made ahead, while the secret is not set yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Invalid
from sluicegate.guard.vault import RESERVED
from sluicegate.kit import registry
from sluicegate.kit.connection import Connection, secrets_in

if TYPE_CHECKING:
    from sluicegate.guard.desk import Desk
    from sluicegate.kit.document import Document
    from sluicegate.store.definitions import Definition as Stored

_WITHIN = frozenset({"database"})
"""Fields of a destination that choose within one server: connections to the same server may share a secret."""


def read_history(desk: Desk, documents: list[Document]) -> list[Stored]:
    """Return all versions of the tenant's connections, deleted ones too; none when no document is a connection."""
    return list(desk.scope.definitions().history("connection")) if any(map(_leads, documents)) else []


def find_moved(desk: Desk, documents: list[Document], history: list[Stored]) -> list[frozenset[str]]:
    """Return, for each document, the secrets that must be cleared because their connection leads elsewhere now.

    Raises ``Invalid`` for a connection that names a secret of another, which leads elsewhere: another that is there, is
    made in the same call, or was there since the secret was last set, even when either has been deleted.
    """
    if not any(map(_leads, documents)):
        return [frozenset()] * len(documents)
    set_at = desk.scope.secrets().moments()
    live = {each.name for each in desk.scope.secrets().list()}
    after = _current(desk) | {each.definition.name: each.body for each in documents if _leads(each)}
    return [_check(each, history, set_at, after) & live for each in documents]


def check_one_place(desk: Desk, secret: str) -> None:
    """Raise ``Invalid``, which names them, when connections that name ``secret`` lead to more than one place."""
    naming = {name: body for name, body in _current(desk).items() if secret in secrets_in(body)}
    first = next(iter(naming.values()), {})
    if not all(same_server(first, body) for body in naming.values()):
        raise Invalid(
            f"the connections that name the secret {secret!r} lead to different places: {', '.join(sorted(naming))}",
            where="name",
            hint="Look at who made them. Give each server a secret of its own; then set it.",
        )


def _leads(document: Document) -> bool:
    return isinstance(document.definition, Connection)


def _current(desk: Desk) -> dict[str, dict[str, Any]]:
    return {each.name: each.body for each in desk.scope.definitions().current("connection")}


def _check(
    new: Document, history: list[Stored], set_at: Mapping[str, float], after: Mapping[str, dict[str, Any]]
) -> frozenset[str]:
    connection = new.definition
    if not isinstance(connection, Connection):
        return frozenset()
    names = connection.secret_names()
    own = [name for name in names if name.startswith(RESERVED)]
    if own:
        raise Invalid(f"the secret {own[0]!r} is the product's own", where=f"connection {connection.name}")
    before = next((each for each in reversed(history) if each.name == connection.name), None)
    cleared: frozenset[str] = frozenset()
    if before is not None and not _same_place(before.body, new.body, connection.destination):
        cleared = secrets_in(before.body)
    for name in sorted(names):
        for other, body in after.items():
            if name in secrets_in(body) and not same_server(body, new.body):
                raise _belongs(name, other, connection.name)
        if name not in set_at or name in cleared:
            continue
        led = [each for each in _since(history, set_at[name]) if name in secrets_in(each.body)]
        if led and not any(same_server(each.body, new.body) for each in led):
            raise _belongs(name, led[-1].name, connection.name)
    return cleared


def _belongs(secret: str, other: str, connection: str) -> Invalid:
    return Invalid(
        f"the secret {secret!r} belongs to the connection {other!r}, which leads elsewhere",
        where=f"connection {connection}",
        hint="Give this connection a secret of its own, or move both in one call.",
    )


def same_server(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether two stored connections lead to one server."""
    type_ = str(new.get("type"))
    if type_ not in registry.types("connection"):
        return False  # made by a release that knew it: nothing is known of where it leads
    plugin: type[Connection] = registry.find("connection", type_)
    return _same_place(old, new, plugin.destination - _WITHIN)


def _same_place(old: Mapping[str, Any], new: Mapping[str, Any], fields: frozenset[str]) -> bool:
    return all(old.get(field) == new.get(field) for field in fields | {"type"})


def _since(history: list[Stored], moment: float) -> Iterator[Stored]:
    """Yield the versions that were in force at ``moment`` or later; deleted ones count, for when is not on record."""
    for each, after in zip_longest(history, history[1:]):
        replaced = after.created if after is not None and after.name == each.name else math.inf
        if replaced >= moment:
            yield each
