"""The ASGI app: one route for each operation, the OpenAPI document, the built UI. It decodes and asks the gate."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sluicegate.app import App
from sluicegate.base.errors import Malformed, Missing, SluiceError, Throttled, TooLarge, wait_of
from sluicegate.base.log import Log
from sluicegate.base.model import Model, new_id
from sluicegate.base.networks import Networks, networks
from sluicegate.base.principal import Credentials, Peer
from sluicegate.base.secret import Secret, hide_tokens
from sluicegate.guard.gate import Entry
from sluicegate.guard.operation import Operation
from sluicegate.operations import OPERATIONS
from sluicegate.web import oauth, openapi, sending
from sluicegate.web.headers import Headers
from sluicegate.web.peer import client_address
from sluicegate.web.pools import Pool, Pools

STATIC = Path(__file__).parent / "static"
_DEPTH_MAX = 64
_UNKEPT_MAX, _UNKEPT_SECONDS = 32 << 20, 5
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)  # whole texts, and brackets outside of them
_API_HEADERS = {"cache-control": "no-store"}


def build(app: App) -> Headers:
    """Return the ASGI app for a wired ``App``. Every route comes from an operation, but for the UI's files."""
    pools = Pools(app.settings.server.threads)
    log = Log()
    routes = [
        Route(openapi.PREFIX + each.http.path, _endpoint(app, each, pools, log), methods=[each.http.method])
        for each in OPERATIONS
    ]
    health = next(each for each in OPERATIONS if each.name == "system.health")
    routes.append(Route("/health", _endpoint(app, health, pools, log), methods=["GET"]))
    exchange = next(each for each in OPERATIONS if each.name == "session.key")
    routes.append(Route(oauth.PATH, _token_endpoint(app, exchange, pools.of(exchange), log), methods=["POST"]))
    routes.append(Route(openapi.PREFIX + "/openapi.json", _describe, methods=["GET"]))
    routes.append(Route("/{path:path}", _Static(STATIC), methods=["GET"]))
    inner = Starlette(routes=routes, exception_handlers={404: _lost, 405: _lost})
    inner.router.redirect_slashes = False
    return Headers(inner, frozenset(name.lower() for name in app.settings.server.names))


@cache
def _description() -> bytes:
    """Return the OpenAPI document; it takes a third of a second to make, and few ask."""
    return orjson.dumps(openapi.document(OPERATIONS))


async def _describe(_request: Request) -> Response:
    document = await asyncio.to_thread(_description)
    return Response(document, media_type="application/json", headers=_API_HEADERS)


def _endpoint(app: App, operation: Operation, pools: Pools, log: Log) -> Callable[[Request], Awaitable[Response]]:
    http, gate, pool, door = operation.http, app.gate, pools.of(operation), pools.door(operation)
    proxies = networks(app.settings.server.proxies)
    numbers = {name for name, field in operation.takes.model_fields.items() if _is_number(field.annotation)}

    async def answer(request: Request, peer: Peer) -> Model:
        credentials = _credentials(request)
        if http.method in {"POST", "PUT"}:
            _check_length(request, http.body_max)
            entry = await door.run(partial(gate.enter, operation, credentials, peer))  # nothing is read for a stranger
            raw = await _body(request, http.body_max)
            return await pool.run(lambda: gate.proceed(entry, _ask(_parse(raw), request, http.places)))
        ask = _ask(_query(request, numbers), request, http.places)
        if not http.waits:
            return await pool.run(partial(gate.call, operation, ask, credentials, peer))
        entry = await door.run(partial(gate.enter, operation, credentials, peer))
        return await _poll(app, entry, ask, pool)

    async def respond(request: Request, peer: Peer) -> Response:
        if operation.ticketed:
            return await sending.answer(app, operation, pool, request, peer)
        found = await answer(request, peer)
        body = found.__pydantic_serializer__.to_json(found, by_alias=True)
        return Response(body, http.status, media_type="application/json", headers=_API_HEADERS)

    async def endpoint(request: Request) -> Response:
        began = time.perf_counter()
        peer = _peer(request, proxies)
        try:
            response = await respond(request, peer)
        except SluiceError as fault:
            await _hear_out(request, begun=isinstance(fault, TooLarge))
            response = _problem(fault, peer)
        except ClientDisconnect:
            response = Response(status_code=499)
        except Exception as fault:  # noqa: BLE001 - the last door: log it whole, tell nothing
            log("A request failed unexpectedly.", level="error", request=peer.request, path=operation.http.path,
                error=type(fault).__name__, trace="".join(traceback.format_tb(fault.__traceback__)))  # fmt: skip
            response = _problem(
                SluiceError("Something went wrong on our side.", hint=f"The log has it under {peer.request}."), peer
            )
        if app.settings.server.access_log:
            _log_access(log, operation, request, peer, response, began)
        if operation.name == "session.logout":
            response.headers["clear-site-data"] = '"storage"'
        return response

    return endpoint


def _log_access(log: Log, operation: Operation, request: Request, peer: Peer, response: Response, began: float) -> None:
    log("request", action=operation.name, method=request.method, path=request.scope["path"], peer=peer.address,
        request=peer.request, status=response.status_code, seconds=time.perf_counter() - began)  # fmt: skip


def _token_endpoint(app: App, operation: Operation, pool: Pool, log: Log) -> Callable[[Request], Awaitable[Response]]:
    """Return ``session.key`` as OAuth clients speak it."""
    gate, proxies = app.gate, networks(app.settings.server.proxies)

    async def endpoint(request: Request) -> Response:
        began, peer = time.perf_counter(), _peer(request, proxies)
        headers = request.headers
        told: tuple[Mapping[str, Any], int, Mapping[str, str]]
        try:
            _check_length(request, oauth.BODY_MAX)
            entry = await pool.run(partial(gate.enter, operation, _credentials(request), peer))
            raw = await _body(request, oauth.BODY_MAX, form=True)
            ask, scopes = oauth.question(raw, headers.get("content-type", ""), headers.get("authorization", ""))
            told = oauth.answer(await pool.run(partial(gate.proceed, entry, ask)), scopes), 200, {}
        except (SluiceError, oauth.Refused) as fault:
            await _hear_out(request)
            told = oauth.problem(fault, proof="dpop" in headers)
        except ClientDisconnect:
            return Response(status_code=499)
        body, status, more = told
        response = Response(orjson.dumps(body), status, media_type="application/json", headers={**_API_HEADERS, **more})
        if app.settings.server.access_log:
            _log_access(log, operation, request, peer, response, began)
        return response

    return endpoint


async def _poll(app: App, entry: Entry, ask: dict[str, Any], pool: Pool) -> Model:
    """Hold the answer back while there is nothing new; a token that ends meanwhile ends the wait (SEC-T09)."""
    until = time.monotonic() + _seconds(ask.get("wait"))
    while True:
        found = await pool.run(partial(app.gate.proceed, entry, ask))
        left = until - time.monotonic()
        if left <= 0 or getattr(found, "items", None) or getattr(found, "done", None):
            return found
        entry = replace(entry, told=True)
        await app.events.wait(str(ask["id"]), left)
        entry = await pool.run(partial(app.gate.still, entry))


def _seconds(wait: object) -> float:
    return float(wait) if isinstance(wait, int) else 0.0  # what does not fit is refused by the model


def _ask(found: dict[str, Any], request: Request, places: tuple[str, ...]) -> dict[str, Any]:
    for place in places:
        if place in found:
            raise Malformed(f"{place!r} is in the path already")
        found[place] = request.path_params[place]
    return found


def _is_number(annotation: object) -> bool:
    return annotation is int or int in get_args(annotation)


def _peer(request: Request, proxies: Networks) -> Peer:
    wire = request.client.host if request.client else ""
    address = client_address(wire, request.headers.getlist("x-forwarded-for"), proxies)
    return Peer(address, request.headers.get("user-agent", "")[:200], new_id())


def _credentials(request: Request) -> Credentials:
    if len(request.headers.getlist("authorization")) > 1:  # a proxy before us may have looked at the other one
        raise Malformed("There is more than one Authorization header.")
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
            raise Malformed("A name stands twice in the query.")
        found[name] = int(text) if name in numbers and text.isascii() and text.isdecimal() and len(text) < 19 else text  # noqa: PLR2004
    return found


def _check_length(request: Request, limit: int) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")


async def _body(request: Request, limit: int, *, form: bool = False) -> bytes:
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


async def _hear_out(request: Request, *, begun: bool = False) -> None:
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


def _parse(raw: bytes) -> dict[str, Any]:
    """Return a JSON object. Duplicate keys and deep nesting are refused (SEC-P09)."""
    import json

    if not raw:
        return {}
    if raw.count(b"[") + raw.count(b"{") > _DEPTH_MAX and _nesting(raw) > _DEPTH_MAX:
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


def _problem(fault: SluiceError, peer: Peer | None = None) -> Response:
    headers = dict(_API_HEADERS)
    if isinstance(fault, Throttled):
        headers["retry-after"] = str(wait_of(fault.after))
    if fault.status == 401:  # noqa: PLR2004
        headers["www-authenticate"] = 'DPoP algs="ES256"'
    shown = fault.problem() | ({"request": peer.request} if peer else {})
    shown = {key: hide_tokens(each) if isinstance(each, str) else each for key, each in shown.items()}
    return Response(orjson.dumps(shown), fault.status, media_type="application/problem+json", headers=headers)


async def _lost(request: Request, _fault: Exception) -> Response:
    await _hear_out(request)
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
