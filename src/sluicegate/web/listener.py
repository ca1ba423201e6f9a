"""Listens: Granian in this process, TLS 1.3 only. Nothing answers plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from pathlib import Path

from sluicegate.app import App, build, certificate, claim
from sluicegate.base.errors import Unavailable
from sluicegate.base.settings import Settings
from sluicegate.kit import net
from sluicegate.web.server import build as build_asgi

_REACHED_BY_LOCALHOST = ("127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared with, not bound to
_BEGIN_MAX = 20.0


def listen(settings: Settings, *, as_json: bool = False) -> None:
    """Serve until SIGTERM or SIGINT. Prints the address, and on the very first start the one-time code."""
    cert, key = certificate(settings)
    with claim(settings):  # before anything is opened: a second server would take up the first one's runs
        port = settings.server.port or net.free_port()
        taken = net.why_taken(settings.server.host, port)  # Granian shares a port: two servers would take turns
        if taken:
            raise _no_listener(settings.server.host, port, taken)
        server = settings.server.model_copy(update={"port": port})
        app = build(settings.model_copy(update={"server": server}))  # links in mails lead to the port taken
        try:
            app.open()
            asyncio.run(_serve(app, settings, port, cert, key, as_json=as_json))
        finally:
            app.close()


async def _serve(app: App, settings: Settings, port: int, cert: Path, key: Path, *, as_json: bool) -> None:
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    listen_on = settings.server
    names = frozenset(listen_on.names)
    server = Server(
        build_asgi(app),
        address=listen_on.host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.auto,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=65_536, pipeline_flush=False),
        websockets=False,
        backlog=1024,
        log_enabled=False,
        ssl_cert=cert,
        ssl_key=key,
        ssl_protocol_min=SSLProtocols.tls13,
    )
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    serving = asyncio.create_task(server.serve())
    await _begun(serving, listen_on.host, port)
    shown = "localhost" if "localhost" in names and listen_on.host in _REACHED_BY_LOCALHOST else listen_on.host
    _announce(app, f"https://{shown}:{port}", as_json=as_json)
    await asyncio.wait({serving, asyncio.create_task(over.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done() and not over.is_set():
        raise Unavailable("The server has stopped by itself.", hint="Start it again; its log may say more.")
    server.stop()  # type: ignore[no-untyped-call]
    with contextlib.suppress(TimeoutError, asyncio.CancelledError):
        await asyncio.wait_for(serving, 5)


async def _begun(serving: asyncio.Task[None], host: str, port: int) -> None:
    """Return when the server takes connections: nothing is announced before."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + _BEGIN_MAX
    while not net.answers(host, port):
        if serving.done() or loop.time() > latest:
            raise _no_listener(host, port, "it does not begin")
        await asyncio.sleep(0.01)


def _no_listener(host: str, port: int, why: str) -> Unavailable:
    return Unavailable(f"The server could not listen on {host}:{port}: {why}.", hint="Is the port taken? Try --port 0.")


def _announce(app: App, url: str, *, as_json: bool) -> None:
    code = app.services.login.bootstrap_code()
    if as_json:
        told = {"url": url, "pid": os.getpid(), **({"code": code.reveal()} if code is not None else {})}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        return
    if code is not None:
        sys.stdout.write(
            f"\nThis is the first start. Make the first SuperAdmin with this one-time code:\n\n    {code.reveal()}\n\n"
            f"in the browser, or: sluice bootstrap --url {url} --email YOU@EXAMPLE.ORG --name 'YOUR NAME'\n\n"
        )
    sys.stdout.write(f"Sluicegate serves at {url}\n")
    sys.stdout.flush()
