"""The ASGI app of a server that is sealed: health, the seal, the UI's files. All else is told to wait (SEC-V06)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sluicegate.base.errors import SluiceError, TooLarge
from sluicegate.base.log import Log
from sluicegate.base.networks import networks
from sluicegate.base.principal import Peer
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Settings
from sluicegate.guard.gate import misfit
from sluicegate.guard.sealed import Gate, refuse
from sluicegate.operations import find
from sluicegate.operations.seal import OpenAsk, SealProgress
from sluicegate.operations.system import Health
from sluicegate.web import body
from sluicegate.web.headers import Headers
from sluicegate.web.openapi import PREFIX
from sluicegate.web.server import STATIC, Static, peer_of, problem

Answer = Callable[[Request, Peer], Awaitable[SealProgress | Health]]
_NO_STORE = {"cache-control": "no-store"}


def build(gate: Gate, settings: Settings) -> Headers:
    """Return the app. The routes of the operations that it serves are theirs in the open server, too."""
    threads = ThreadPoolExecutor(1, thread_name_prefix="sealed")  # one try after the other
    get, opening, health = (find(name) for name in ("seal.get", "seal.open", "system.health"))

    def shown(*, is_open: bool = False) -> SealProgress:
        found = gate.progress()
        if is_open:
            return SealProgress(sealed=False, kind="", given=0, needed=0, set="")
        return SealProgress(sealed=True, kind=found.kind, given=found.given, needed=found.needed, set=found.set)

    async def tell_health(_request: Request, peer: Peer) -> Health:
        gate.admit(peer, knocks=False)
        return Health(status="sealed", bootstrap=False, jail="none", mail="off")

    async def tell(_request: Request, peer: Peer) -> SealProgress:
        gate.admit(peer, knocks=False)
        return shown()

    async def take(request: Request, peer: Peer) -> SealProgress:
        gate.admit(peer, knocks=True)
        body.check_length(request, opening.http.body_max)
        told = body.parse(await body.read(request, opening.http.body_max))
        try:
            ask = OpenAsk.model_validate(told)
        except ValidationError as fault:
            raise misfit(opening, fault) from None
        given = Secret(ask.share.get_secret_value())
        done = await asyncio.get_running_loop().run_in_executor(threads, partial(gate.give, given, peer))
        return shown(is_open=done)

    async def refuse_all(_request: Request, peer: Peer) -> SealProgress:
        gate.admit(peer, knocks=False)
        raise refuse()

    served: tuple[tuple[str, str, Answer], ...] = (
        (PREFIX + health.http.path, "GET", tell_health),
        ("/health", "GET", tell_health),
        (PREFIX + get.http.path, "GET", tell),
        (PREFIX + opening.http.path, "POST", take),
    )
    log, everything = Log(), ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    routes = [Route(path, _endpoint(answer, settings, log), methods=[method]) for path, method, answer in served]
    shut = _endpoint(refuse_all, settings, log)
    routes += [Route(path, shut, methods=everything) for path in ("/api/{path:path}", "/oauth/{path:path}")]
    routes.append(Route("/{path:path}", Static(STATIC), methods=["GET"]))
    inner = Starlette(routes=routes, exception_handlers={404: shut, 405: shut})
    inner.router.redirect_slashes = False
    return Headers(inner, frozenset(name.lower() for name in settings.server.names))


def _endpoint(answer: Answer, settings: Settings, log: Log) -> Callable[..., Awaitable[Response]]:
    proxies = networks(settings.server.proxies)

    async def endpoint(request: Request, _fault: Exception | None = None) -> Response:
        peer = peer_of(request, proxies)
        try:
            found = await answer(request, peer)
        except SluiceError as fault:
            await body.hear_out(request, begun=isinstance(fault, TooLarge))
            return problem(fault, peer)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as fault:  # noqa: BLE001 - the last door: log what kind, tell nothing
            log("A request to a sealed server failed unexpectedly.", level="error", request=peer.request,
                error=type(fault).__name__)  # fmt: skip
            return problem(SluiceError("Something went wrong on our side."), peer)
        return Response(orjson.dumps(found.model_dump()), media_type="application/json", headers=_NO_STORE)

    return endpoint
