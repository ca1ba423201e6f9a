"""The ASGI app: one route for each operation, the OpenAPI document, the built UI. It decodes and asks the gate."""

from __future__ import annotations

import asyncio
import mimetypes
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, get_args

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sluicegate.app import App
from sluicegate.base.errors import Malformed, Missing, SluiceError, Throttled, TooLarge
from sluicegate.base.log import Log
from sluicegate.base.model import new_id
from sluicegate.base.principal import Credentials, Peer
from sluicegate.base.secret import Secret
from sluicegate.guard.operation import Operation
from sluicegate.operations import OPERATIONS
from sluicegate.web import openapi
from sluicegate.web.headers import Headers

STATIC = Path(__file__).parent / "static"
_DEPTH_MAX = 64
_API_HEADERS = {"cache-control": "no-store"}


def build(app: App) -> Headers:
    """Return the ASGI app for a wired ``App``. Every route comes from an operation, but for the UI's files."""
    pools = Pools(app.settings.server.threads)
    log = Log()
    routes = [
        Route(openapi.PREFIX + each.http.path, _endpoint(app, each, pools.of(each), log), methods=[each.http.method])
        for each in OPERATIONS
    ]
    health = next(each for each in OPERATIONS if each.name == "system.health")
    routes.append(Route("/health", _endpoint(app, health, pools.of(health), log), methods=["GET"]))
    document = orjson.dumps(openapi.document(OPERATIONS))

    async def describe(_request: Request) -> Response:
        return Response(document, media_type="application/json", headers=_API_HEADERS)

    routes.append(Route(openapi.PREFIX + "/openapi.json", describe, methods=["GET"]))
    routes.append(Route("/{path:path}", _Static(STATIC), methods=["GET"]))
    inner = Starlette(routes=routes, exception_handlers={404: _lost, 405: _lost})
    inner.router.redirect_slashes = False
    return Headers(inner, frozenset(name.lower() for name in app.settings.server.names))


class Pools:
    """Threads behind the gate: few for quick reads, since Python runs one at a time; more for what waits or changes.

    A slow preview or a costly password never holds up a read.
    """

    def __init__(self, threads: int) -> None:
        """``threads``: for what waits or changes."""
        self._reads = ThreadPoolExecutor(2, thread_name_prefix="gate-read")
        self._rest = ThreadPoolExecutor(threads, thread_name_prefix="gate")

    def of(self, operation: Operation) -> ThreadPoolExecutor:
        """Return the threads an operation runs in."""
        return self._reads if operation.http.method == "GET" and not operation.audited else self._rest


def _endpoint(
    app: App, operation: Operation, pool: ThreadPoolExecutor, log: Log
) -> Callable[[Request], Awaitable[Response]]:
    http = operation.http
    places = http.places
    has_body = http.method in {"POST", "PUT"}
    numbers = {name for name, field in operation.takes.model_fields.items() if _is_number(field.annotation)}

    async def endpoint(request: Request) -> Response:
        peer = Peer(_address(request), request.headers.get("user-agent", "")[:200], new_id())
        loop = asyncio.get_running_loop()
        try:
            ask: dict[str, Any] = _parse(await _body(request, http.body_max)) if has_body else _query(request, numbers)
            for place in places:
                if place in ask:
                    raise Malformed(f"{place!r} is in the path already")
                ask[place] = request.path_params[place]
            credentials = _credentials(request)
            answer = await loop.run_in_executor(pool, partial(app.gate.call, operation, ask, credentials, peer))
            if (
                http.waits
                and ask.get("wait")
                and not getattr(answer, "items", ())
                and not getattr(answer, "done", False)
            ):
                await app.events.wait(str(ask["id"]), float(ask["wait"]))
                call = partial(app.gate.call, operation, ask, credentials, peer, again=True)
                answer = await loop.run_in_executor(pool, call)
            body = answer.__pydantic_serializer__.to_json(answer, by_alias=True)
        except SluiceError as fault:
            return _problem(fault, peer)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as fault:  # noqa: BLE001 - the last door: log it whole, tell nothing
            log("A request failed unexpectedly.", level="error", request=peer.request, path=operation.http.path,
                error=type(fault).__name__, trace="".join(traceback.format_tb(fault.__traceback__)))  # fmt: skip
            return _problem(
                SluiceError("Something went wrong on our side.", hint=f"The log has it under {peer.request}."), peer
            )
        return Response(body, http.status, media_type="application/json", headers=_API_HEADERS)

    return endpoint


def _is_number(annotation: object) -> bool:
    return annotation is int or int in get_args(annotation)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _credentials(request: Request) -> Credentials:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = Secret(token) if scheme.lower() in ("dpop", "bearer") and token else None
    proofs = request.headers.getlist("dpop")
    if len(proofs) > 1:
        raise Malformed("There is more than one DPoP header.")
    url = f"https://{request.headers.get('host', '')}{request.scope['raw_path'].decode('latin-1')}"
    return Credentials(found, proofs[0] if proofs else None, request.method, url)


def _query(request: Request, numbers: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in request.query_params.multi_items():
        if name in found:
            raise Malformed(f"{name[:64]!r} stands twice in the query")
        found[name] = int(text) if name in numbers and text.isascii() and text.isdecimal() and len(text) < 19 else text  # noqa: PLR2004
    return found


async def _body(request: Request, limit: int) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.")
        parts.append(part)
    return b"".join(parts)


def _parse(raw: bytes) -> dict[str, Any]:
    """Return a JSON object. Duplicate keys and deep nesting are refused (SEC-P09)."""
    import json

    if not raw:
        return {}
    if _nesting(raw) > _DEPTH_MAX:
        raise Malformed("The body is nested too deeply.")
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Malformed("The body is not JSON.", hint="Send one JSON object, each key once.") from None
    if not isinstance(found, dict):
        raise Malformed("The body is not a JSON object.")
    return found


def _nesting(raw: bytes) -> int:
    depth = deepest = 0
    inside = escaped = False
    for byte in raw:
        if inside:
            if escaped:
                escaped = False
            elif byte == 0x5C:  # noqa: PLR2004 - a backslash
                escaped = True
            elif byte == 0x22:  # noqa: PLR2004 - a quote
                inside = False
        elif byte == 0x22:  # noqa: PLR2004
            inside = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _no_constant(_name: str) -> float:
    raise ValueError


def _problem(fault: SluiceError, peer: Peer | None = None) -> Response:
    headers = dict(_API_HEADERS)
    if isinstance(fault, Throttled):
        headers["retry-after"] = str(max(1, round(fault.after)))
    if fault.status == 401:  # noqa: PLR2004
        headers["www-authenticate"] = 'DPoP algs="ES256"'
    shown = fault.problem() | ({"request": peer.request} if peer else {})
    return Response(orjson.dumps(shown), fault.status, media_type="application/problem+json", headers=headers)


async def _lost(request: Request, _fault: Exception) -> Response:
    return _problem(Missing("There is no such endpoint.", where=f"{request.method} {request.url.path[:200]}"))


class _Static:
    """The built UI: files by exact name from a list made at start, ``index.html`` for the pages inside the app."""

    def __init__(self, folder: Path) -> None:
        self._files: Mapping[str, tuple[bytes, str]] = {}
        if folder.is_dir():
            self._files = {
                str(file.relative_to(folder)): (
                    file.read_bytes(),
                    mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                )
                for file in folder.rglob("*")
                if file.is_file()
            }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"].lstrip("/")
        if path.startswith("api/"):
            response = _problem(Missing("There is no such endpoint.", where=f"{scope['method']} {scope['path'][:200]}"))
        elif path in self._files and path != "index.html":
            body, kind = self._files[path]
            lasting = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
            response = Response(body, media_type=kind, headers={"cache-control": lasting})
        elif "index.html" in self._files and "." not in path:  # names and ids hold no dot; files and .git do
            response = Response(
                self._files["index.html"][0], media_type="text/html", headers={"cache-control": "no-store"}
            )
        else:
            response = _problem(Missing("There is no such page.", where=scope["path"][:200]))
        await response(scope, receive, send)
