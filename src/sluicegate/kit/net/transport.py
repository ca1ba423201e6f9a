"""HTTP over addresses that were checked: httpx on httpcore's public parts, each socket opened by ``Net``."""

from __future__ import annotations

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


def _backend(pins_of: Pins) -> httpcore.NetworkBackend:
    """Return what opens httpcore's sockets: only to addresses that ``pins_of`` has checked."""
    import httpcore

    wire = httpcore.SyncBackend()

    class Backend(httpcore.NetworkBackend):
        def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Any = None,
        ) -> httpcore.NetworkStream:
            pins = pins_of(host, port)
            for pin in pins[:-1]:
                try:
                    return wire.connect_tcp(pin.address, pin.port, timeout, local_address, socket_options)
                except (httpcore.ConnectError, httpcore.ConnectTimeout):
                    continue  # the next checked address; the last one's failure is the answer
            return wire.connect_tcp(pins[-1].address, pins[-1].port, timeout, local_address, socket_options)

    return Backend()


@contextmanager
def _told(where: str) -> Iterator[None]:
    import httpcore

    try:
        yield
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as fault:
        raise unreachable(fault, where) from fault


def transport(pins_of: Pins, context: ssl.SSLContext) -> httpx.BaseTransport:
    """Return what carries httpx's requests; ``pins_of`` gives the checked addresses of a host and port, or raises."""
    import httpcore
    import httpx

    pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_backend(pins_of), keepalive_expiry=5.0)

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
