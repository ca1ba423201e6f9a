"""Where the next page is: five ways that APIs have, each said in the definition, none guessed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urljoin, urlsplit

from pydantic import BeforeValidator, Field

from sluicegate.base.errors import DataError
from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.connectors.http.asking import Spot

JsonPath = Annotated[
    str, Field(min_length=1, max_length=512, pattern=r"^(\$|(\$\.)?[^.$\x00-\x1f]+(\.[^.$\x00-\x1f]+)*)$")
]
"""Keys with dots between, a number for a place in a list (``-1`` is the last): ``data.items``. ``$`` is all of it."""
_Param = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
_ABSENT: Final = object()
_LINK = re.compile(r'<([^<>]*)>((?:[^,<"]|"[^"]*+")*+)')
_REL = re.compile(r';\s*+rel\s*+=\s*+(?:"([^"]*+)"|([^\s;,"]++))', re.IGNORECASE)
_LONGEST = 4096
_PORTS = {"http": 80, "https": 443}


class Alone(Model):
    """There is one page."""

    type: Literal["none"] = "none"


class Cursor(Model):
    """Each page says a word with which the next one is asked for."""

    type: Literal["cursor"] = "cursor"
    at: JsonPath
    """Where the word lies in a page; the page where it is absent, null or empty is the last."""
    param: _Param = "cursor"
    """Parameter that carries it."""
    more: JsonPath | None = None
    """Where a page says whether there are more (``has_more``), when it does; the word alone does not end it then."""


class Next(Model):
    """Each page holds the URL of the next one."""

    type: Literal["next"] = "next"
    at: JsonPath
    """Where the URL lies in a page; the page where it is absent, null or empty is the last."""


class Link(Model):
    """A header ``Link`` holds the URL of the next page (RFC 8288, ``rel="next"``)."""

    type: Literal["link"] = "link"


class Page(Model):
    """Pages have numbers; the first one without rows is the end."""

    type: Literal["page"] = "page"
    param: _Param = "page"
    """Parameter that carries the number."""
    first: int = Field(default=1, ge=0, le=1)
    """Number of the first page."""


class Offset(Model):
    """Pages begin at a row; the first one without rows is the end."""

    type: Literal["offset"] = "offset"
    param: _Param = "offset"
    """Parameter that carries the number of rows before it."""


def _spelled_out(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


Paging = Annotated[
    Annotated[Alone | Cursor | Next | Link | Page | Offset, Field(discriminator="type")], BeforeValidator(_spelled_out)
]
"""``none``, ``cursor``, ``next``, ``link``, ``page`` or ``offset``; a bare word stands for one without options."""
ALONE: Final = Alone()


class Seen(NamedTuple):
    """What came: the answer, its headers, how many rows it held, and how many there were before it."""

    answer: Any
    headers: Mapping[str, str]
    rows: int
    before: int
    number: int
    """Number of this page, from 0."""


def look(answer: Any, path: str) -> Any:
    """Return what lies at ``path``; ``None`` when nothing does."""
    found = _find(answer, path)
    return None if found is _ABSENT else found


def records(answer: Any, path: str, where: str) -> list[Any]:
    """Return the list at ``path``. ``DataError`` when there is none: an error in disguise is no empty list."""
    found = _find(answer, path)
    if isinstance(found, list):
        return found
    what = "is absent" if found is _ABSENT else "is no list"
    raise DataError(f"What 'records' names ({path}) {what} in the answer.", where=where)


def _find(answer: Any, path: str) -> Any:
    found = answer
    for part in () if path == "$" else path.removeprefix("$.").split("."):
        if isinstance(found, dict):
            found = found.get(part, _ABSENT)
        elif isinstance(found, list) and re.fullmatch(r"-?[0-9]{1,6}", part):
            place = int(part)
            found = found[place] if -len(found) <= place < len(found) else _ABSENT
        else:
            return _ABSENT
    return found


def begin(paging: Paging, spot: Spot) -> Spot:
    """Return the spot of the first page."""
    if isinstance(paging, Page):
        return spot.with_(paging.param, str(paging.first))
    if isinstance(paging, Offset):
        return spot.with_(paging.param, "0")
    return spot


def after(paging: Paging, seen: Seen, spot: Spot, origin: str) -> Spot | None:
    """Return the spot of the next page, ``None`` after the last one. ``spot``: that of the page that was seen.

    ``Egress`` when it would lie in another origin than ``origin`` (``https://host:port``).
    """
    if isinstance(paging, Page):
        return spot.with_(paging.param, str(paging.first + seen.number + 1)) if seen.rows else None
    if isinstance(paging, Offset):
        return spot.with_(paging.param, str(seen.before + seen.rows)) if seen.rows else None
    if isinstance(paging, Cursor):
        return _by_word(paging, seen, spot)
    if isinstance(paging, Next):
        url = _word(look(seen.answer, paging.at))
    elif isinstance(paging, Link):
        url = _linked(seen.headers.get("link", ""))
    else:
        return None
    return _inside(url, spot, origin) if url is not None else None


def _by_word(paging: Cursor, seen: Seen, spot: Spot) -> Spot | None:
    word = _word(look(seen.answer, paging.at))
    if paging.more is not None:
        more = look(seen.answer, paging.more)
        if not isinstance(more, bool):
            raise DataError(f"The page does not say whether there are more ({paging.more}: true or false).")
        if more and word is None:
            raise DataError(f"There are more pages, and no word to ask for them ({paging.at}).")
        word = word if more else None
    return spot.with_(paging.param, word) if word is not None else None


def _word(value: Any) -> str | None:
    if value is None or value == "" or value is False:
        return None
    if not isinstance(value, str | int) or isinstance(value, bool) or len(str(value)) > _LONGEST:
        raise DataError("What leads to the next page is neither text nor a whole number.")
    return str(value)


def _linked(header: str) -> str | None:
    for found in _LINK.finditer(header):
        relations = [quoted or bare for quoted, bare in _REL.findall(found[2])]
        if any("next" in each.lower().split() for each in relations):
            return found[1]
    return None


def _inside(url: str, spot: Spot, origin: str) -> Spot:
    """Return the spot that ``url`` leads to, relative to where we are."""
    try:
        if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
            raise ValueError
        parts, home = urlsplit(urljoin(origin + spot.target(), url)), urlsplit(origin)
        same = (parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)) == (
            home.scheme,
            home.hostname,
            home.port,
        )
    except ValueError:
        raise EgressRefused("The URL of the next page is none.") from None
    if not same or "@" in parts.netloc:
        raise EgressRefused(
            "The next page would lie on another server, where no credential goes.",
            hint="Read that server by a connection of its own.",
        )
    return spot.at(parts.path or "/", parts.query)
