"""Stands between the demo's people and the server, and reads every answer: how many, and how many cookies."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from pathlib import Path

_LONGEST = 32


class Watch:
    """A TLS relay with the server's own certificate; what it relays it does not change."""

    def __init__(self, url: str, folder: Path) -> None:
        """Relay to the server at ``url``, whose CA and certificate lie in ``folder``."""
        self.answers = self.cookies = 0
        self._port = int(url.rpartition(":")[2])
        self._out = ssl.create_default_context(cafile=folder / "ca.pem")
        self._in = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._in.minimum_version = ssl.TLSVersion.TLSv1_3
        self._in.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
        self._in.set_alpn_protocols(["http/1.1"])
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._relay, "127.0.0.1", 0, ssl=self._in))
        self.url = f"https://localhost:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _relay(self, asks: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError):  # at the end of the demo: nobody waits for the rest
            there, onward = await asyncio.open_connection("localhost", self._port, ssl=self._out)
            await asyncio.gather(self._pass(asks, onward), self._pass(there, answers, read=True))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, read: bool = False) -> None:
        kept = b""
        with contextlib.suppress(OSError):
            while part := await source.read(65536):
                if read:
                    whole = (kept + part).lower()  # a mark may be cut in two
                    self.answers += whole.count(b"http/1.1 ") - kept.lower().count(b"http/1.1 ")
                    self.cookies += whole.count(b"\nset-cookie:") - kept.lower().count(b"\nset-cookie:")
                    kept = whole[-_LONGEST:]
                target.write(part)
                await target.drain()
        with contextlib.suppress(OSError):
            target.close()
