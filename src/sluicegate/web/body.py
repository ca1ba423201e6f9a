"""The body of a request: read up to a limit, and taken for JSON only when it is one object that says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any

from starlette.requests import ClientDisconnect, Request

from sluicegate.base.errors import Malformed, TooLarge

_DEPTH_MAX = 64
_UNKEPT_MAX, _UNKEPT_SECONDS = 32 << 20, 5
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)  # whole texts, and brackets outside of them


def check_length(request: Request, limit: int) -> None:
    """Raise ``TooLarge`` for a body that says that it is."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")


async def read(request: Request, limit: int, *, form: bool = False) -> bytes:
    """Return the body. Raises ``TooLarge``, and ``Malformed`` for one that does not say that it is JSON."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.")
        parts.append(part)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (
        parts and any(parts) and not form and kind != "application/json"
    ):  # what a form on a foreign page sends is no question
        raise Malformed(
            "The body does not say that it is JSON.", hint="Send the header content-type: application/json."
        )
    return b"".join(parts)


async def hear_out(request: Request, *, begun: bool = False) -> None:
    """Hear the rest of a refused body, unkept: over HTTP/2, and in chunks, the answer to half a question gets lost."""
    size = 0
    if request.scope["http_version"] != "2" and not begun:
        return
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last: it was heard already
        async with asyncio.timeout(_UNKEPT_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > _UNKEPT_MAX:
                    break


def parse(raw: bytes) -> dict[str, Any]:
    """Return a JSON object. Duplicate keys and deep nesting are refused (SEC-P09)."""
    if not raw:
        return {}
    if raw.count(b"[") + raw.count(b"{") > _DEPTH_MAX and nesting(raw) > _DEPTH_MAX:
        raise Malformed("The body is nested too deeply.")
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON.", hint="Send one JSON object, each key once.") from None
    if not isinstance(found, dict):
        raise Malformed("The body is not a JSON object.")
    return found


def nesting(raw: bytes) -> int:
    """Return how deep brackets stand in one another."""
    depth = deepest = 0
    for found in _MARKS.finditer(raw):
        mark = found[0]
        if mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in b"]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_name: str) -> float:
    raise ValueError
