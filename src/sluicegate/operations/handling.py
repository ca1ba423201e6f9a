"""What connections say of columns and take of them: an Editor may make it stricter, not looser (SEC-B10).

Else who is held back by a tag would take it off, have a destination accept it, or name the same server once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Denied
from sluicegate.base.permission import Permission
from sluicegate.guard.policy import allowed
from sluicegate.kit.connection import Connection
from sluicegate.operations.places import same_server

if TYPE_CHECKING:
    from sluicegate.guard.desk import Desk
    from sluicegate.kit.document import Document
    from sluicegate.store.definitions import Definition as Stored


def require_kept(desk: Desk, documents: list[Document], history: list[Stored]) -> None:
    """Raise ``Denied`` when a connection lets more through than before, and the caller may not take masks off.

    What was there before counts when it has been deleted, too: ``history`` is ``places.read_history``.
    """
    if allowed(desk.who, Permission.DATA_REVEAL):
        return
    before = {each.name: each.body for each in history}  # the newest stays
    for each in (each for each in documents if isinstance(each.definition, Connection)):
        for what in _loosened(each.definition.name, each.body, before):
            raise Denied(
                f"{what}: that lets more through than before, and needs {Permission.DATA_REVEAL}.",
                where=f"connection {each.definition.name}",
                hint="Have an administrator of the tenant save it.",
            )


def _loosened(name: str, new: Mapping[str, Any], before: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    old = before.get(name, {})
    if more := _set(new, "accepts") - _set(old, "accepts"):
        yield f"It accepts the tag {min(more)!r}"
    if gone := _set(old, "refuses") - _set(new, "refuses"):
        yield f"It no longer refuses the tag {min(gone)!r}"
    tags = {column.lower(): set(each) for column, each in new.get("tags", {}).items()}
    stays = bool(old) and same_server(old, new)
    for other, body in before.items():
        if other == name or (not stays and same_server(body, new)):
            for column, said in body.get("tags", {}).items():
                if lost := set(said) - tags.get(column.lower(), set()):
                    yield f"The column {column!r} is not tagged {min(lost)!r}, as in the connection {other!r}"


def _set(body: Mapping[str, Any], field: str) -> set[str]:
    return set(body.get(field, ()))
