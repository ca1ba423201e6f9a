"""One question and its answer: credential, bounds, and another try when the server asks for it or does not answer."""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import Cancelled, Failed, SignInRefused, SluiceError, Unreachable
from sluicegate.base.model import Model

if TYPE_CHECKING:
    from sluicegate.connectors.http import Http
    from sluicegate.connectors.http.access import Access
    from sluicegate.kit.context import Context
    from sluicegate.kit.net import Incoming, Reply

_GOOD, _UNKNOWN, _NO_RIGHT = 200, 401, 403
_GONE, _AGAIN = (404, 410), (408, 425, 429, 500, 502, 503, 504)
_BLINK: Final = 0.1
_FIRST: Final = 0.5  # seconds before the second try; twice as many before each further one


class Bounds(Model):
    """What is enough. What goes beyond is an error, never a shorter result."""

    bytes: int = Field(default=16 << 20, ge=1024, le=256 << 20)
    """Bytes of one page."""
    pages: int = Field(default=10_000, ge=1, le=1_000_000)
    """Pages of one item."""
    seconds: int = Field(default=3600, ge=1, le=86_400)
    """Seconds that reading one item may take."""
    step: int = Field(default=60, ge=1, le=600)
    """Seconds that the server may be silent."""
    tries: int = Field(default=5, ge=1, le=20)
    """How often one page is asked for, when the server is busy, fails (408, 425, 429, 5xx) or breaks off."""
    wait: int = Field(default=60, ge=1, le=3600)
    """Seconds between two tries at the most; a server that asks for more (``Retry-After``) ends the reading."""


class Spot(NamedTuple):
    """A place on the server: a path, and what stands behind the question mark."""

    path: str
    """Plain text, or as a server has spelled it when ``raw`` is not ``None``."""
    query: dict[str, str]
    raw: str | None = None
    """A query as a server has spelled it; ``query`` is empty then."""

    def with_(self, name: str, value: str) -> Spot:
        """Return it with one parameter set."""
        return self._replace(query={**self.query, name: value})

    def at(self, path: str, raw: str) -> Spot:
        """Return the place that the server has spelled."""
        return Spot(path, {}, raw)

    def target(self, more: dict[str, str] | None = None) -> str:
        """Return path and query as they go over the wire, ``more`` parameters beside its own."""
        path = self.path if self.raw is not None else quote(self.path, safe="/")
        query = "&".join(filter(None, (self.raw, urlencode({**self.query, **(more or {})}, quote_via=quote))))
        return f"{path}?{query}" if query else path


class Asker:
    """Asks one server, in one go with one deadline."""

    def __init__(self, connection: Http, access: Access, ctx: Context) -> None:
        """Hold whom to ask; nothing is sent yet."""
        self._connection, self._access, self._ctx, self._bounds = connection, access, ctx, connection.limits
        self.place = f"{connection.host}:{connection.port}"
        host = f"[{connection.host.strip('[]')}]" if ":" in connection.host else connection.host
        self.origin = f"{'http' if connection.tls == 'disable' else 'https'}://{host.lower()}:{connection.port}"
        self._client: Any = None

    @property
    def max_pages(self) -> int:
        """How many pages one item may have."""
        return self._bounds.pages

    def say(self, message: str, /, **fields: object) -> None:
        """Write one line into the run's log."""
        self._ctx.log(message, **fields)

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()

    def probe(self, spot: Spot) -> int:
        """Ask once and return the status. ``SignInRefused`` when the credential is not taken."""
        response = self._send(spot)
        response.close()  # unread: the body may be of any size
        self._check_sign_in(response.status)
        return response.status

    def page(self, spot: Spot, what: str) -> Reply:
        """Return one good answer, whole. Raises ``Egress``, ``Unreachable``, ``SignInRefused`` or ``Failed``."""
        renewed = False
        for attempt in range(1, self._bounds.tries + 1):
            last = attempt == self._bounds.tries
            try:
                reply = self._reply(spot)
            except Unreachable:
                if last:
                    raise
                self._rest(attempt, None, what)
                continue
            if reply.status == _UNKNOWN and not renewed and self._access.renew():
                renewed = True
                reply = self._reply(spot)
            if reply.status not in _AGAIN or last:
                self.check(reply.status, reply.headers, what)
                return reply
            self._rest(attempt, reply.headers.get("retry-after"), what)
        raise AssertionError("the last try returns or raises")

    def open(self, spot: Spot, what: str) -> Incoming:
        """Return an answer whose body has not been read yet, and may be of any size. Raises as ``page``."""
        renewed = False
        for attempt in range(1, self._bounds.tries + 1):
            response = self._send(spot)
            last = attempt == self._bounds.tries
            if response.status == _UNKNOWN and not renewed and self._access.renew():
                response.close()
                renewed, response = True, self._send(spot)
            if response.status not in _AGAIN or last:
                try:
                    self.check(response.status, response.headers, what)
                except BaseException:
                    response.close()
                    raise
                return response
            response.close()
            self._rest(attempt, response.headers.get("retry-after"), what)
        raise AssertionError("the last try returns or raises")

    def check(self, status: int, headers: dict[str, str], what: str) -> None:
        """Raise for what is no good answer; never with what the server says."""
        self._check_sign_in(status)
        if status in _GONE:
            raise Failed(f"There is no {what!r}.", where=self.place, hint="Check path and item.")
        if status != _GOOD:
            raise Failed(f"The server answers {status} for {what!r}.", where=self.place, hint="Its log says more.")
        coding = headers.get("content-encoding", "identity").lower()
        if coding != "identity":
            raise Failed("The answer is compressed, though we asked that it is not.", where=self.place)

    def _check_sign_in(self, status: int) -> None:
        if status == _UNKNOWN or (status == _NO_RIGHT and self._connection.auth != "none"):
            raise SignInRefused(
                "The server does not take the credential."
                if self._connection.auth != "none"
                else "The server wants a credential.",
                where=self.place,
                hint="Is it right, has it run out, and may it read this?",
            )

    def _ask(self, spot: Spot) -> dict[str, Any]:
        """Return what goes with a request. A key in the query is kept out of the URL, which libraries show and log."""
        secret = self._access.query()
        extensions = {"target": spot.target(secret).encode()} if secret else {}
        return {"headers": self._access.headers(), "extensions": extensions}

    def _reply(self, spot: Spot) -> Reply:
        client, url, more = self._held(), self.origin + spot.target(), self._ask(spot)
        try:
            return self._ctx.net.reply(client, "GET", url, limit=self._bounds.bytes, **more)
        except SluiceError as fault:
            raise fault.at(self.place) from fault.__cause__

    def _send(self, spot: Spot) -> Incoming:
        client, url, more = self._held(), self.origin + spot.target(), self._ask(spot)
        try:
            return self._ctx.net.send(client, "GET", url, **more)
        except SluiceError as fault:
            raise fault.at(self.place) from fault.__cause__

    def _held(self) -> Any:
        if self._ctx.cancelled():
            raise Cancelled("The run was cancelled; nothing of it has landed.")
        if self._client is None:
            to, bounds = self._connection, self._bounds
            verify = "verify-full" if to.tls == "disable" else to.tls  # not used over plain HTTP
            headers = {"accept": "*/*", "user-agent": "sluicegate", "accept-encoding": "identity"}
            headers |= {name.lower(): value for name, value in to.headers.items()}
            self._client = self._ctx.net.http(
                ca=to.ca, verify=verify, timeout=bounds.step, total=bounds.seconds, headers=headers
            )
        return self._client

    def _rest(self, attempt: int, told: str | None, what: str) -> None:
        """Wait as long as the server asks for, or a little longer each time."""
        asked = _seconds(told)
        if asked is not None and asked > self._bounds.wait:
            raise Failed(
                f"The server asks to wait {asked:.0f} s.", where=self.place, hint="Run later, or raise limits.wait."
            )
        wait = min(_FIRST * 2 ** (attempt - 1), self._bounds.wait) if asked is None else asked
        self._ctx.log("the server is busy or does not answer; trying again", item=what, seconds=f"{wait:.1f}")
        until = time.monotonic() + wait
        while (left := until - time.monotonic()) > 0:
            if self._ctx.cancelled():
                raise Cancelled("The run was cancelled; nothing of it has landed.")
            time.sleep(min(left, _BLINK))


def _seconds(told: str | None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (RFC 9110 §10.2.3); ``None`` when it says nothing usable."""
    if told is None:
        return None
    if told.isascii() and told.isdigit() and len(told) < 10:  # noqa: PLR2004 - thirty years
        return float(told)
    try:
        moment = parsedate_to_datetime(told)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - clock.system())
    except (ValueError, OverflowError):
        return None
