"""The client of our own server, for the command line: fast to load, TLS 1.3, one CA."""

# ruff: noqa: TID251 - the ban on sockets and HTTP clients is on everyone else
from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Invalid
from sluicegate.kit.net.address import clean_host
from sluicegate.kit.net.trust import unreachable

if TYPE_CHECKING:
    import http.client
    import ssl
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

_PIECE, _PROBLEM_MAX = 64 * 1024, 1 << 20


class Reply(NamedTuple):
    """What a server answered; header names are in lower case."""

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
                raise unreachable(fault, where) from fault
            except ValueError:
                self.close()
                raise Invalid("A header or the method holds a character that does not belong there.") from None
            if answer.will_close:
                self.close()
            return reply
        raise AssertionError("the second attempt returns or raises")

    def send(self, method: str, path: str, body: bytes | None, headers: Sequence[tuple[str, str | bytes]]) -> Reply:
        """Send one request whose headers stand as they are given, twice or not, and return the whole reply.

        Nothing is added but ``Host`` and the body's length, and nothing is sent again. Raises as ``request`` does.
        """
        import http.client

        where = f"{self._host} port {self._port}"
        line, _ = self._open()
        try:
            line.putrequest(method, self._prefix + path, skip_accept_encoding=True)
            for name, value in headers:
                line.putheader(name, value)
            if body is not None:
                line.putheader("content-length", str(len(body)))
            line.endheaders(body)
            answer = line.getresponse()
            reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            raise unreachable(fault, where) from fault
        except ValueError:
            self.close()
            raise Invalid("A header or the method holds a character that does not belong there.") from None
        if answer.will_close:
            self.close()
        return reply

    def download(self, path: str, sink: BinaryIO, headers: Mapping[str, str] | None = None) -> Reply:
        """Write the body of a ``GET`` that succeeds into ``sink`` as it comes, and return the reply without it.

        A reply of another status comes as ``request`` gives it. Raises ``Unreachable`` when the body is cut.
        """
        import http.client

        where = f"{self._host} port {self._port}"
        line, _ = self._open()
        try:
            line.request("GET", self._prefix + path, None, dict(headers or {}))
            answer = line.getresponse()
            told = {k.lower(): v for k, v in answer.getheaders()}
            if answer.status != http.client.OK:
                return Reply(answer.status, told, answer.read(_PROBLEM_MAX))
            while piece := answer.read(_PIECE):
                sink.write(piece)
        except (OSError, http.client.HTTPException) as fault:
            raise unreachable(fault, where) from fault
        finally:
            self.close()
        return Reply(answer.status, told, b"")

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
