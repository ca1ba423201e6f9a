"""The network as a plugin sees it: a name is asked for once, each address checked, only a checked one connected to."""

from __future__ import annotations

import ipaddress
import socket
import time
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Unreachable
from sluicegate.kit.net.address import NEVER, Address, Egress, Pinned, carried, clean_host, kind_of, parse
from sluicegate.kit.net.client import Reply
from sluicegate.kit.net.transport import transport
from sluicegate.kit.net.trust import trust, unreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import httpx

    from sluicegate.kit.connection import Tls

HOPS: Final = 5
"""Redirects that ``Net.fetch`` follows at most."""

_KEPT = frozenset(  # headers that may cross to another origin; all others can hold a credential
    {"accept", "accept-encoding", "accept-language", "user-agent", "range", "if-none-match", "if-modified-since"}
)


def _granting(name: str, address: Address, kind: str) -> str:
    """Return how the address could be allowed; nothing for one that no grant reaches."""
    if kind in NEVER:
        return ""
    host = address if kind == "a metadata-service" else name
    return f'If this is meant, grant it in sluice.toml: [[egress]] with host = "{host}".'


def _is_own(address: Address) -> bool:
    """Tell whether the kernel would route ``address`` to this machine. Connecting a datagram socket sends nothing."""
    try:
        family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:
        return False  # no route: the real connection tells the person why


def _look_up(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


class Incoming(NamedTuple):
    """A reply whose body is on its way; header names are in lower case."""

    status: int
    headers: dict[str, str]
    parts: Iterator[bytes]
    """The body as it comes. Reading raises ``Unreachable``."""
    close: Callable[[], None]
    host: str


class Net:
    """The network as a plugin sees it: what the egress policy refuses cannot be reached."""

    def __init__(self, egress: Egress, resolver: Callable[[str], Iterable[str]] | None = None) -> None:
        """Hold the policy. ``resolver`` turns a name into addresses (text) or raises ``OSError``."""
        self._egress = egress
        self._resolver = resolver or _look_up

    def dial(self, host: str, port: int) -> Pinned:
        """Return a checked address for ``host``. Raises ``Egress`` (refused) or ``Unreachable`` (no such name).

        The name is asked for once and one refused address refuses all. The system's order holds (RFC 6724),
        but ``::1`` comes last: most servers on ``localhost`` listen on IPv4, and a driver takes only one address.
        """
        return self._pins(host, port)[0]

    def _pins(self, host: str, port: int) -> list[Pinned]:
        name = clean_host(host)
        if not 0 < port < 65536:  # noqa: PLR2004 - ports have 16 bits
            raise EgressRefused("A port is 1 to 65535.", where=name)
        literal = parse(name)
        found = dict.fromkeys([literal] if literal is not None else self._resolve(name))
        for address in found:
            self._check(name, address, port)
        ordered = sorted(found, key=lambda each: each.version == 6 and each.is_loopback)  # noqa: PLR2004 - IPv6
        return [Pinned(name, str(address), port) for address in ordered]

    def _resolve(self, name: str) -> list[Address]:
        try:
            texts = list(self._resolver(name))
        except OSError as fault:
            raise Unreachable(f"The name {name} is not known.", hint="Check the spelling and the DNS.") from fault
        if not texts:
            raise Unreachable(f"The name {name} has no address.", hint="Check the DNS.")
        addresses = [parse(text) for text in texts]
        if None in addresses:
            raise EgressRefused(f"The egress policy refuses {name}: its address is not a plain one.")
        return [address for address in addresses if address is not None]

    def _check(self, name: str, address: Address, port: int) -> None:
        for face in (address, *carried(address)):
            kind = kind_of(face) or ("this machine's own" if _is_own(face) else "")
            if kind and not any(grant.covers(name, face, kind, port) for grant in self._egress.allow):
                raise EgressRefused(
                    f"The egress policy refuses {name}: it leads to {kind} address.",
                    where=f"{name}:{port}",
                    hint=_granting(name, face, kind),
                )

    def connect(self, host: str, port: int, timeout: float = 10.0) -> socket.socket:
        """Return a socket to a checked address of ``host``; ``timeout`` in seconds for all of them together, and kept.

        Raises ``Egress`` or ``Unreachable``. When the name has several addresses, each checked one is tried in turn.
        """
        until = time.monotonic() + timeout
        fault: OSError | None = None
        for pin in self._pins(host, port):
            try:
                sock = socket.create_connection(pin[1:], max(until - time.monotonic(), 0.05))
            except OSError as failure:
                fault = failure
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(timeout)
            return sock
        raise unreachable(fault or TimeoutError(), f"{clean_host(host)} port {port}") from fault

    def tls(self, sock: socket.socket, host: str, ca: str | None = None, verify: Tls = "verify-full") -> ssl.SSLSocket:
        """Return ``sock`` under TLS 1.2 or later, verified for ``host``. Raises ``Unreachable`` or ``Invalid``.

        ``ca`` is PEM text that replaces the system's authorities (never a path: the caller reads the file).
        """
        name, context = clean_host(host), trust(ca, verify)
        try:
            return context.wrap_socket(sock, server_hostname=name)
        except OSError as fault:
            raise unreachable(fault, name) from fault

    def http(
        self,
        *,
        ca: str | None = None,
        verify: Tls = "verify-full",
        timeout: float = 30.0,
        total: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Client:
        """Return an HTTP client that reaches only what ``dial`` allows: no proxies, no redirects (see ``fetch``).

        ``timeout``: seconds per network step; ``total``: seconds from now on for all that is done with it.
        Raises ``Egress`` and ``Unreachable`` where httpx has transport errors.
        """
        import httpx

        return httpx.Client(
            transport=transport(self._pins, trust(ca, verify), time.monotonic() + total if total is not None else None),
            trust_env=False,
            follow_redirects=False,
            timeout=timeout,
            headers=headers,
        )

    def fetch(self, client: httpx.Client, method: str, url: str, *, stream: bool = False, **kw: Any) -> httpx.Response:
        """Send one request and follow at most ``HOPS`` redirects, each hop checked anew; ``kw`` as ``build_request``.

        A hop may not leave https, may change the port only to the scheme's own or a granted one, and crossing to
        another origin drops all headers but the harmless and never carries a body. Raises ``Egress``, ``Unreachable``,
        ``Failed`` (damaged reply). With ``stream`` the caller reads and closes the response.
        """
        import httpx

        auth = kw.pop("auth", httpx.USE_CLIENT_DEFAULT)
        try:
            request = client.build_request(method, url, **kw)
        except httpx.InvalidURL:
            raise EgressRefused("The address is not a URL.") from None
        if request.url.userinfo:
            raise EgressRefused("The URL holds a user name or password.", hint="Put them in a secret.")
        for _ in range(HOPS + 1):
            try:
                response = client.send(request, auth=auth, stream=True, follow_redirects=False)
            except httpx.RemoteProtocolError:  # httpx reads a location even when it does not follow it
                raise EgressRefused("A redirect leads to what is not a URL.", where=request.url.host) from None
            if not response.has_redirect_location:
                if not stream:
                    _read(response)
                return response
            response.close()  # unread: the body of a redirect may have no end
            crossed, request = self._next(response)
            auth = None if crossed else auth
        raise EgressRefused(f"More than {HOPS} redirects.", where=request.url.host)

    def read(self, client: httpx.Client, method: str, url: str, *, limit: int, **kw: Any) -> tuple[int, bytes]:
        """Send one request; return the status and the body. Raises as ``reply``."""
        reply = self.reply(client, method, url, limit=limit, **kw)
        return reply.status, reply.body

    def reply(self, client: httpx.Client, method: str, url: str, *, limit: int, **kw: Any) -> Reply:
        """Send one request; return what came, the body as it came, of ``limit`` bytes at the most.

        No redirect is followed: that there is one is an error. Raises ``Egress``, ``Unreachable``, ``Failed`` (too
        large).
        """
        coming = self.send(client, method, url, **kw)
        try:
            parts, size = [], 0
            for part in coming.parts:
                size += len(part)
                if size > limit:
                    raise Failed(f"The reply of {coming.host} is larger than {limit} bytes.", where=coming.host)
                parts.append(part)
        finally:
            coming.close()
        return Reply(coming.status, coming.headers, b"".join(parts))

    def send(self, client: httpx.Client, method: str, url: str, **kw: Any) -> Incoming:
        """Send one request; the caller reads the body, which may be of any size, and closes. Raises as ``reply``."""
        import httpx

        try:
            response = client.send(client.build_request(method, url, **kw), stream=True, follow_redirects=False)
        except httpx.InvalidURL:
            raise EgressRefused("The address is not a URL.") from None
        except httpx.RemoteProtocolError:  # httpx reads a location even when it does not follow it
            raise EgressRefused("A redirect leads to what is not a URL.") from None
        if response.is_redirect:
            response.close()
            where = response.request.url.host
            raise EgressRefused(f"{where} sends us elsewhere, where nobody said to go.", where=where)
        return Incoming(
            response.status_code,
            dict(response.headers),
            response.iter_raw(),
            response.close,
            response.request.url.host,
        )

    def _next(self, response: httpx.Response) -> tuple[bool, httpx.Request]:
        """Return whether the redirect leaves the origin, and the request that follows it."""
        import httpx

        before = response.request
        try:
            url = before.url.join(response.headers["location"])
        except (httpx.InvalidURL, ValueError):
            raise EgressRefused("A redirect leads to what is not a URL.", where=before.url.host) from None
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise EgressRefused("A redirect leads to another scheme or holds a password.", where=before.url.host)
        if before.url.scheme == "https" and url.scheme != "https":
            raise EgressRefused("A redirect leaves https.", where=before.url.host)
        ports = {"http": 80, "https": 443}
        origins = [(each.scheme, each.host, each.port or ports[each.scheme]) for each in (before.url, url)]
        crossed, port = origins[0] != origins[1], origins[1][2]
        if port not in (origins[0][2], ports[url.scheme]) and not self._grants_port(url.host, port):
            raise EgressRefused("A redirect leads to another port.", where=before.url.host, hint="Grant host and port.")
        method, body = before.method, None
        if response.status_code in (307, 308):
            body = _replay(before)
            if crossed and body:
                raise EgressRefused("A redirect would take the request's body elsewhere.", where=before.url.host)
        elif method != "HEAD":
            method = "GET"
        dropped = {"host", "content-length", "transfer-encoding"} | (set() if body else {"content-type"})
        headers = {
            name: value
            for name, value in before.headers.items()
            if name not in dropped and (not crossed or name in _KEPT)
        }
        extensions = {"timeout": before.extensions["timeout"]}  # not the rest: SNI names the host that was left
        return crossed, httpx.Request(method, url, headers=headers, content=body, extensions=extensions)

    def _grants_port(self, host: str, port: int) -> bool:
        name = clean_host(host)
        return any(grant.covers(name, parse(name), "", port) for grant in self._egress.allow)


def _read(response: httpx.Response) -> None:
    import httpx

    try:
        response.read()
    except httpx.DecodingError:
        raise Failed("The reply does not decompress.", where=response.request.url.host) from None
    finally:
        response.close()


def _replay(request: httpx.Request) -> bytes:
    import httpx

    try:
        return request.content
    except httpx.RequestNotRead:
        raise EgressRefused("A redirect asks for a body again that was streamed.", where=request.url.host) from None
