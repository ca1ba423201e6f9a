"""Listens: Granian in this process, TLS 1.3 only. Nothing answers plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import uvloop

from sluicegate.app import App, certificate, claim
from sluicegate.base.errors import Unavailable
from sluicegate.base.settings import Settings
from sluicegate.kit import net
from sluicegate.web.front import Front

_REACHED_BY_LOCALHOST = ("127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared with, not bound to
_BEGIN_MAX = 20.0
_ANSWERED = 0.5
"""Seconds in which the answer to who sealed the server is on its way."""


def listen(settings: Settings, *, as_json: bool = False) -> int | None:
    """Serve until SIGTERM or SIGINT. Prints the address, and on the very first start the one-time code.

    Returns the port when it was sealed while it served, and is to start anew.
    """
    cert, key = certificate(settings)
    with claim(settings):  # before anything is opened: a second server would take up the first one's runs
        port = settings.server.port or net.free_port()
        taken = net.why_taken(settings.server.host, port)  # Granian shares a port: two servers would take turns
        if taken:
            raise _no_listener(settings.server.host, port, taken)
        server = settings.server.model_copy(update={"port": port})
        front = Front(settings.model_copy(update={"server": server}))  # links in mails lead to the port taken
        try:
            front.open()
            uvloop.run(_serve(front, settings, port, cert, key, as_json=as_json))
        finally:
            front.close()
        if front.fault is not None:
            raise front.fault
        return port if front.again else None


async def _serve(front: Front, settings: Settings, port: int, cert: Path, key: Path, *, as_json: bool) -> None:
    from granian.constants import HTTPModes, Interfaces, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    listen_on = settings.server
    names = frozenset(listen_on.names)
    server = Server(
        front,
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

    def close() -> None:
        loop.call_soon_threadsafe(loop.call_later, _ANSWERED, over.set)

    front.on_close = close
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    serving = asyncio.create_task(server.serve())
    await _begun(serving, listen_on.host, port)
    shown = "localhost" if "localhost" in names and listen_on.host in _REACHED_BY_LOCALHOST else listen_on.host
    url = f"https://{shown}:{port}"
    front.on_open = partial(_announce, url, as_json=as_json)
    if front.app is None:
        _announce_sealed(url, as_json=as_json)
    else:
        _announce(url, front.app, as_json=as_json)
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


def _announce_sealed(url: str, *, as_json: bool) -> None:
    told = json.dumps({"url": url, "pid": os.getpid(), "sealed": True})
    plain = f"Sluicegate is sealed at {url}\nWhoever holds a share or the passphrase runs: sluice unseal --url {url}"
    sys.stdout.write((told if as_json else plain) + "\n")
    sys.stdout.flush()


def _announce(url: str, app: App, *, as_json: bool) -> None:
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
