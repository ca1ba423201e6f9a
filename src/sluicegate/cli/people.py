"""Who did something, in tables for people: the server tells ids."""

from __future__ import annotations

from typing import Any

from sluicegate.cli.remote import Server
from sluicegate.operations import find

_COLUMNS = ("author", "set_by", "by", "who")
_ID_LENGTH = 36


def name_people(server: Server, found: Any) -> Any:
    """Return an answer with each person's id as the reader may know them: an e-mail address, or the end of the id."""
    items = found.get("items") if isinstance(found, dict) else None
    if not items or not any(_is_id(item.get(name)) for item in items for name in _COLUMNS):
        return found
    me = server.call(find("session.whoami"))
    known = {me["id"]: me["email"]}
    if "user:manage" in me["permissions"] and me["tenant"]:
        known |= {each["id"]: each["email"] for each in server.call(find("user.list"))["items"]}

    def name(key: str, value: Any) -> Any:
        return known.get(value, f"…{value[-8:]}") if key in _COLUMNS and _is_id(value) else value

    return {**found, "items": [{key: name(key, value) for key, value in item.items()} for item in items]}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == _ID_LENGTH and value.count("-") == 4  # noqa: PLR2004 - a UUID's
