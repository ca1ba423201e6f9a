"""The only way out over the network: every connection goes to an address that was checked, never to a name.

A host is resolved once, every address it gives is checked, and the socket is opened to a checked address; SNI, Host and
the certificate keep the name. Addresses that carry an IPv4 address inside (RFC 4291, 6052, 8215, 3056, 4380, 5214)
are judged by what they carry too. Ranges: the IANA special-purpose registries (RFC 6890) and the clouds' own pages.
"""

# ruff: noqa: TID251 - the ban on sockets and HTTP clients is on everyone else
from __future__ import annotations

import ipaddress
import re
import socket
import time
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import field_validator

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Invalid, Unreachable
from sluicegate.base.model import Model

if TYPE_CHECKING:
    import http.client
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import httpcore
    import httpx

    from sluicegate.kit.connection import Tls

Address = IPv4Address | IPv6Address
HOPS: Final = 5
"""Redirects that ``Net.fetch`` follows at most."""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label like this makes the C library read the name as IPv4
_SERVICES = """
169.254.169.0/24 169.254.170.0/24 169.254.42.42 100.100.100.200 168.63.129.16 192.0.0.192
fd00:ec2::/32 fd20:ce::254 fd00:42::42
"""
_KINDS = {
    "an unspecified": "0.0.0.0/8 ::/128",
    "a multicast": "224.0.0.0/4 ff00::/8",
    "a broadcast": "255.255.255.255",
    "a loopback": "127.0.0.0/8 ::1/128",
    "a private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
    "a carrier-grade NAT": "100.64.0.0/10",
    "a link-local": "169.254.0.0/16 fe80::/10",
    "a reserved": "192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
    "2001::/23 2001:db8::/32 2002::/16 3fff::/20",
}
_METADATA = [ipaddress.ip_network(text) for text in _SERVICES.split()]
_REFUSED = [(ipaddress.ip_network(text), kind) for kind, texts in _KINDS.items() for text in texts.split()]
_NEVER = frozenset({"an unspecified", "a multicast", "a broadcast"})  # no grant reaches these: nothing listens there
_LOCAL = (_KINDS["a loopback"] + " " + _KINDS["a private"] + " " + _KINDS["a carrier-grade NAT"]).split()
_GLOBAL = ipaddress.ip_network("2000::/3")  # all other IPv6 space is unassigned or special
_NAT64, _NAT64_LOCAL = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48")
_KEPT = frozenset(  # headers that may cross to another origin; all others can hold a credential
    {"accept", "accept-encoding", "accept-language", "user-agent", "range", "if-none-match", "if-modified-since"}
)


class Grant(Model):
    """One hole in the egress policy."""

    host: str
    """Host name, IP address, CIDR, or ``*.suffix`` (any name below the suffix, not the suffix itself)."""
    ports: tuple[int, ...] = ()
    """Ports this holds for; any when empty."""

    @field_validator("host")
    @classmethod
    def _check_host(cls, text: str) -> str:
        if "/" in text:
            return str(ipaddress.ip_network(text))
        try:
            host = clean_host(text.removeprefix("*."))
        except EgressRefused as fault:
            raise ValueError(fault.message) from None
        if text.startswith("*."):
            if _address(host) is not None:
                raise ValueError("a wildcard goes with a name, not with an address")
            return f"*.{host}"
        return host

    @field_validator("ports")
    @classmethod
    def _check_ports(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 < port < 65536 for port in ports):  # noqa: PLR2004 - ports have 16 bits
            raise ValueError("a port is 1 to 65535")
        return ports

    def covers(self, host: str, address: Address | None, kind: str, port: int) -> bool:
        """Tell whether this grant opens ``address`` (of ``kind``) to a connection with ``host`` on ``port``."""
        if kind in _NEVER or (self.ports and port not in self.ports):
            return False
        if "/" in self.host or (own := _address(self.host)) is not None:
            exact = "/" not in self.host
            inside = address is not None and (address == own if exact else address in ipaddress.ip_network(self.host))
            return inside and (exact or kind != "a metadata-service")
        named = host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host
        return named and kind != "a metadata-service"


class Egress(Model):
    """The egress policy. Public addresses are open; everything else is refused until granted.

    A grant opens private, loopback, link-local and reserved addresses. Metadata services open only to a grant that is
    exactly that IP address; multicast and unspecified addresses never do.
    """

    allow: tuple[Grant, ...] = ()
    """The holes."""

    @classmethod
    def local(cls) -> Egress:
        """Return the policy of ``run --local``: loopback and private addresses are open, metadata services are not."""
        return cls(allow=tuple(Grant(host=text) for text in _LOCAL))


class Pinned(NamedTuple):
    """Where a driver connects: ``address`` has been checked; ``host`` is for SNI, Host and the certificate."""

    host: str
    address: str
    port: int


def clean_host(host: str) -> str:
    """Return the one spelling of ``host``: lower case, no brackets, addresses compressed. Raises ``Egress``.

    Refuses whatever another parser could read differently; the text itself is never shown, it may hold a password.
    """
    if not host.isascii():  # before lower(): that turns the Kelvin sign into a k
        raise EgressRefused("The host holds letters beyond ASCII.", hint="Write the name in its xn-- form.")
    name = host.lower()
    if name.startswith("[") and name.endswith("]") and ":" in name:
        name = name[1:-1]
    if (address := _address(name)) is not None:
        return str(address)
    for sign, why in (("@", "a user name or password"), ("%", "a percent sign"), ("\0", "a NUL"), (":", "a colon")):
        if sign in name:
            raise EgressRefused(f"The host holds {why}.", hint="Give the bare host name or IP address.")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):  # noqa: PLR2004 - RFC 1035 §2.3.4
        raise EgressRefused("The host is not a host name or IP address.", hint="Write it without spaces or final dot.")
    if _NUMERIC.fullmatch(labels[-1]):
        raise EgressRefused("The host is an odd spelling of an IPv4 address.", hint="Write four decimal numbers.")
    return name


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:  # "%": an interface is not for a definition to choose
            return None
        return address.ipv4_mapped or address
    return address


def _carried(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses inside an IPv6 address that a gateway or tunnel would send to."""
    if isinstance(address, IPv4Address):
        return
    bits, low = int(address), IPv4Address(int(address) & 0xFFFFFFFF)
    marker = (bits >> 32) & 0xFFFFFFFF
    compatible, translated = bits >> 32 == 0 and bits > 1, bits >> 32 == 0xFFFF_0000  # noqa: PLR2004 - RFC 2765
    if address in _NAT64 or marker in (0x5EFE, 0x200_5EFE) or compatible or translated:
        yield low
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif address in _NAT64_LOCAL:  # any prefix length may be in use: read all four of RFC 6052 §2.2
        found = [
            ((bits >> 64) & 0xFFFF) << 16 | ((bits >> 40) & 0xFFFF),
            ((bits >> 64) & 0xFF) << 24 | ((bits >> 32) & 0xFFFFFF),
            (bits >> 24) & 0xFFFFFFFF,
            int(low),
        ]
        # The network itself is refused; only a metadata address inside stays refused when it is granted.
        yield from (inner for inner in map(IPv4Address, found) if _kind(inner) == "a metadata-service")


def _kind(address: Address) -> str:
    """Return what sort of address this is; empty when it is public."""
    if any(address in network for network in _METADATA):
        return "a metadata-service"
    for network, kind in _REFUSED:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address not in _GLOBAL and address not in _NAT64:
        return "a reserved"
    return ""


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
        literal = _address(name)
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
        addresses = [_address(text) for text in texts]
        if None in addresses:
            raise EgressRefused(f"The egress policy refuses {name}: its address is not a plain one.")
        return [address for address in addresses if address is not None]

    def _check(self, name: str, address: Address, port: int) -> None:
        for face in (address, *_carried(address)):
            kind = _kind(face) or ("this machine's own" if _is_own(face) else "")
            if kind and not any(grant.covers(name, face, kind, port) for grant in self._egress.allow):
                raise EgressRefused(
                    f"The egress policy refuses {name}: it leads to {kind} address.",
                    where=f"port {port}",
                    hint="Grant the host in the egress policy if this is meant.",
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
        raise _unreachable(fault or TimeoutError(), f"{clean_host(host)} port {port}") from fault

    def tls(self, sock: socket.socket, host: str, ca: str | None = None, verify: Tls = "verify-full") -> ssl.SSLSocket:
        """Return ``sock`` under TLS 1.2 or later, verified for ``host``. Raises ``Unreachable`` or ``Invalid``.

        ``ca`` is PEM text that replaces the system's authorities (never a path: the caller reads the file).
        """
        name, context = clean_host(host), _context(ca, verify)
        try:
            return context.wrap_socket(sock, server_hostname=name)
        except OSError as fault:
            raise _unreachable(fault, name) from fault

    def http(
        self,
        *,
        ca: str | None = None,
        verify: Tls = "verify-full",
        timeout: float = 30.0,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Client:
        """Return an HTTP client that reaches only what ``dial`` allows: no proxies, no redirects (see ``fetch``).

        ``timeout``: seconds per network step. Raises ``Egress`` and ``Unreachable`` where httpx has transport errors.
        """
        import httpx

        transport = _transport(self, _context(ca, verify))
        return httpx.Client(
            transport=transport, trust_env=False, follow_redirects=False, timeout=timeout, headers=headers
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
        return any(grant.covers(name, _address(name), "", port) for grant in self._egress.allow)


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


def _context(ca: str | None, verify: Tls) -> ssl.SSLContext:
    import ssl

    if verify == "disable":
        raise Invalid("TLS was asked for and disabled at once.", where="tls")
    try:
        context = ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError):
        raise Invalid("The CA is not a certificate.", where="ca", hint="Give PEM text.") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify != "verify-full":
        context.check_hostname = False
    if verify == "require":
        context.verify_mode = ssl.CERT_NONE
    return context


def _backend(net: Net) -> httpcore.NetworkBackend:
    """Return what opens httpcore's sockets: only to addresses that ``net`` checked, on httpcore's public parts."""
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
            pins = net._pins(host, port)  # noqa: SLF001 - the transport is part of Net
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
        raise _unreachable(fault, where) from fault


def _transport(net: Net, context: ssl.SSLContext) -> httpx.BaseTransport:
    import httpcore
    import httpx

    pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_backend(net), keepalive_expiry=5.0)

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


_CERTIFICATE = {  # X509_V_ERR_… of OpenSSL's x509_vfy.h
    9: ("is not valid yet", "Check the clocks of both machines."),
    10: ("has expired", "Renew it on the other side, or check this machine's clock."),
    18: ("is signed by itself", "Give its certificate as the CA if you trust it."),
    19: ("is signed by an unknown CA", "Give that CA's certificate."),
    20: ("is signed by an unknown CA", "Give that CA's certificate."),
    21: ("is signed by an unknown CA", "Give that CA's certificate."),
    62: ("is for another host", "Use the name in the certificate, or have it issued for this name."),
    64: ("is for another host", "Use the name in the certificate, or have it issued for this address."),
}


def _unreachable(fault: BaseException, where: str) -> Unreachable:
    """Return the error that says in plain words what is wrong on the way to ``where``."""
    import ssl

    # httpcore keeps what happened as the argument of its own error
    cause = fault.args[0] if fault.args and isinstance(fault.args[0], BaseException) else fault
    if isinstance(cause, ssl.SSLCertVerificationError):
        what, hint = _CERTIFICATE.get(cause.verify_code, (f"does not hold: {cause.verify_message}", "Check it."))
        return Unreachable(f"The certificate of {where} {what}.", hint=hint)
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or "the connection ended").replace("_", " ").lower()
        hint = "Check that the port speaks TLS, and which versions."
        return Unreachable(f"No TLS connection to {where}: {reason}.", hint=hint)
    if isinstance(cause, ConnectionRefusedError):
        return Unreachable(f"Nothing listens at {where}.", hint="Check host and port, and that it runs.")
    if isinstance(cause, TimeoutError) or "Timeout" in type(fault).__name__:
        return Unreachable(f"{where} does not answer in time.", hint="Check the network and firewalls.")
    return Unreachable(
        f"The connection to {where} failed ({type(cause).__name__}).", hint="Check that it runs and is reachable."
    )


class Reply(NamedTuple):
    """What our own server answered; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpsClient:
    """A small keep-alive client for our own server: TLS 1.3, no proxies, no redirects; loads fast.

    Not for several threads at once. The address is the one the person gave at login, so no egress policy applies.
    """

    def __init__(self, base: str, ca_file: Path | None, timeout: float = 30) -> None:
        """Hold ``base`` (https only, else ``Invalid``) and the only CA trusted; the system's without ``ca_file``."""
        try:
            parts = urlsplit(base)
            host, port = parts.hostname or "", parts.port or 443
        except ValueError:
            raise Invalid("The server's address is not a URL.", where="server") from None
        if parts.scheme != "https":
            raise Invalid("The server's address must start with https://", where="server")
        if parts.username is not None or parts.query or parts.fragment:
            raise Invalid("The server's address holds more than host, port and path.", where="server")
        try:
            self._host, self._port = clean_host(host), port
        except EgressRefused as fault:
            raise Invalid(fault.message, where="server", hint=fault.hint) from None
        self._prefix, self._ca, self._timeout = parts.path.rstrip("/"), ca_file, timeout
        self._line: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request and return the whole reply, whatever its status. Raises ``Unreachable`` or ``Invalid``.

        ``path`` starts with ``/``. Only a safe method is sent again, and only when a kept connection had ended.
        """
        import http.client

        if not path.startswith("/"):
            raise Invalid("The path must start with /", where="path")
        where = f"{self._host} port {self._port}"
        for attempt in (1, 2):
            line, kept = self._open()
            try:
                line.request(method, self._prefix + path, body, dict(headers or {}))
                answer = line.getresponse()
                reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            except (OSError, http.client.HTTPException) as fault:
                self.close()
                if kept and attempt == 1 and method in ("GET", "HEAD") and isinstance(fault, ConnectionError):
                    continue
                if isinstance(fault, http.client.InvalidURL):
                    raise Invalid("The path holds a character that does not belong there.", where="path") from None
                raise _unreachable(fault, where) from fault
            except ValueError:
                self.close()
                raise Invalid("A header or the method holds a character that does not belong there.") from None
            if answer.will_close:
                self.close()
            return reply
        raise AssertionError("the second attempt returns or raises")

    def _open(self) -> tuple[http.client.HTTPSConnection, bool]:
        import http.client
        import select

        line = self._line
        if line is not None and line.sock is not None:
            waiting = select.poll()
            waiting.register(line.sock, select.POLLIN)
            # An idle connection with something to read has been ended by the server: TLS 1.3 session tickets were
            # read with the first reply.
            if not waiting.poll(0):
                return line, True
            self.close()
        self._line = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._trust())
        return self._line, False

    def _trust(self) -> ssl.SSLContext:
        import ssl

        try:
            context = ssl.create_default_context(cafile=self._ca)
        except FileNotFoundError:
            raise Invalid(
                "The file of the server's CA is missing.", where=str(self._ca), hint="Log in again."
            ) from None
        except ssl.SSLError:
            raise Invalid("The file of the server's CA is not a certificate.", where=str(self._ca)) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


_MESSAGE, _FILES = 65536, 64


def local_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a local connection that keeps messages whole; neither survives ``exec`` unless passed on."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send_descriptors(sock: socket.socket, data: bytes, fds: Sequence[int]) -> None:
    """Send one message (1 to 65536 bytes) with at most 64 open files; the caller still closes its own.

    Raises ``Invalid`` (too much) or ``Unreachable`` (the other end is gone).
    """
    if not 0 < len(data) <= _MESSAGE or len(fds) > _FILES:
        raise Invalid("A message holds 1 to 65536 bytes and at most 64 open files.")
    try:
        socket.send_fds(sock, [data], fds)
    except ConnectionError as fault:
        raise Unreachable("The other process is gone.") from fault


def receive_descriptors(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Return one message and its open files, closed on ``exec``; ``(b"", [])`` when the other end has closed.

    Raises ``Failed`` when either was cut short (all files are closed then), ``Unreachable`` when the other end is gone.
    """
    import os

    try:
        # Not socket.recv_fds: it drops its flags, and a child started meanwhile would inherit the files.
        data, notes, flags, _ = sock.recvmsg(_MESSAGE, socket.CMSG_LEN(_FILES * 4), socket.MSG_CMSG_CLOEXEC)
    except ConnectionError as fault:
        raise Unreachable("The other process is gone.") from fault
    fds = [fd for _, kind, raw in notes if kind == socket.SCM_RIGHTS for fd in memoryview(raw).cast("i")]
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise Failed("A message between processes was cut short.")
    return data, fds


def free_port() -> int:
    """Return a loopback port that nothing listens on now; another process may still take it first."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
