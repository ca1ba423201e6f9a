"""HTTP over addresses that were checked: httpx on httpcore's public parts, each socket opened by ``Net``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.kit.net.trust import unreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    import httpcore
    import httpx

    from sluicegate.kit.net.address import Pinned

    Pins = Callable[[str, int], list[Pinned]]
    Left = Callable[[float | None], float | None]
    Wrap = Callable[[Any], httpcore.NetworkStream]


def _streams(
    until: float | None,
) -> tuple[Callable[[float | None], float | None], Callable[[Any], httpcore.NetworkStream]]:
    """Return the time left for a step, and a stream none of whose steps goes on past ``until``, however it drips."""
    import httpcore

    def left(timeout: float | None) -> float | None:
        if until is None:
            return timeout
        rest = until - time.monotonic()
        if rest <= 0:
            raise httpcore.ReadTimeout(TimeoutError())
        return rest if timeout is None else min(timeout, rest)

    class Stream(httpcore.NetworkStream):
        def __init__(self, inner: httpcore.NetworkStream) -> None:
            self.inner = inner

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            return self.inner.read(max_bytes, left(timeout))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self.inner.write(buffer, left(timeout))

        def close(self) -> None:
            self.inner.close()

        def start_tls(
            self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
        ) -> httpcore.NetworkStream:
            return Stream(self.inner.start_tls(ssl_context, server_hostname, left(timeout)))

        def get_extra_info(self, info: str) -> Any:
            return self.inner.get_extra_info(info)

    return left, Stream


def _backend(pins_of: Pins, until: float | None) -> httpcore.NetworkBackend:
    """Return what opens httpcore's sockets: only to addresses that ``pins_of`` has checked, and not past ``until``."""
    import httpcore

    wire = httpcore.SyncBackend()
    left, stream = _streams(until)

    class Backend(httpcore.NetworkBackend):
        def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Any = None,
        ) -> httpcore.NetworkStream:
            def connect(pin: Pinned) -> httpcore.NetworkStream:
                return stream(wire.connect_tcp(pin.address, pin.port, left(timeout), local_address, socket_options))

            pins = pins_of(host, port)
            for pin in pins[:-1]:
                try:
                    return connect(pin)
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    continue  # the next checked address; the last one's failure is the answer
            return connect(pins[-1])

    return Backend()


@contextmanager
def _told(where: str) -> Iterator[None]:
    import httpcore

    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as fault:
        raise unreachable(fault, where) from fault


def transport(pins_of: Pins, context: ssl.SSLContext, until: float | None = None) -> httpx.BaseTransport:
    """Return what carries httpx's requests; ``pins_of`` gives the checked addresses of a host and port, or raises.

    ``until``: when all of it is over, by ``time.monotonic``.
    """
    import httpcore
    import httpx

    pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_backend(pins_of, until), keepalive_expiry=5.0)

    class Body(httpx.SyncByteStream):
        def __init__(self, stream: Any, where: str) -> None:
            self.stream, self.where = stream, where

        def __iter__(self) -> Iterator[bytes]:
            with _told(self.where):
                yield from self.stream

        def close(self) -> None:
            self.stream.close()

    class Transport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            url, headers, extensions = request.url, request.headers.raw, dict(request.extensions)
            if url.scheme not in ("http", "https"):
                raise EgressRefused("Only http and https are spoken here.", where=url.host)
            target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
            with _told(url.host):
                reply = pool.handle_request(
                    httpcore.Request(
                        request.method, target, headers=headers, content=request.stream, extensions=extensions
                    )
                )
            body = Body(reply.stream, url.host)
            return httpx.Response(reply.status, headers=reply.headers, stream=body, extensions=reply.extensions)

        def close(self) -> None:
            pool.close()

    return Transport()
