"""``http``: documents and rows of a web API (REST), by GET over TLS.

An item is a path, perhaps with a query. Its answer is handed on as it comes, in any format; with ``records`` the rows
of all pages become one JSON document, so that types, rejects and snapshots are those of the format ``json``.
``access.py`` proves who asks, ``asking.py`` asks, ``paging.py`` finds the next page, ``pages.py`` joins them.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sluicegate.base.errors import Denied, Failed, Invalid, SluiceError
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import Model
from sluicegate.connectors.http.access import KINDS, Access
from sluicegate.connectors.http.asking import Asker, Bounds, Spot
from sluicegate.connectors.http.pages import Pages, Stream, raw
from sluicegate.connectors.http.paging import ALONE, JsonPath, Paging, begin
from sluicegate.kit.connection import Connection, Entry, Host, SecretName, Tls
from sluicegate.kit.paths import check as check_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.kit.context import Context

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # RFC 9110 §5.6.2
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TAKEN = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "trailer", "expect", "cookie",
     "authorization", "proxy-authorization", "proxy-connection", "accept-encoding"}
)  # fmt: skip
_URL = r"^$|^https://[^\s/?#@\\]+(/[^\s?#@\\]*)?$"
_SPARE = 200
Query = dict[str, str]


class Item(Model):
    """How one item differs from the others of its connection."""

    records: JsonPath | None = None
    """Where the list of rows lies in an answer; the connection's when absent."""
    paging: Paging | None = None
    """How the next page is found; the connection's when absent."""
    query: Query = Field(default={}, max_length=_SPARE)
    """Parameters of its requests, beside the connection's."""


class Http(Connection):
    """Documents and rows of a web API (REST)."""

    type: Literal["http"] = "http"
    host: Host
    """Server name or address; must be allowed by the egress policy."""
    port: int = Field(default=443, ge=1, le=65535)
    """TCP port."""
    path: str = Field(default="", max_length=1024)
    """Path that all items lie beneath (``/v2``)."""
    tls: Tls = "verify-full"
    """How the server must prove who it is; ``disable`` is plain HTTP. With a credential only the first two."""
    ca: str | None = Field(default=None, max_length=1 << 20)
    """Certificate authority that signs the server's certificate, as PEM text; the system's when absent."""
    auth: Literal["none", "basic", "bearer", "api_key", "oauth2"] = "none"
    """How we prove who we are; ``oauth2`` is the grant ``client_credentials``."""
    user: str = Field(default="", max_length=256, pattern=r"^[^:\x00-\x1f\x7f]*$")
    """Basic: user …"""
    password: SecretName | None = None
    """… and the name of the secret that holds the password."""
    token: SecretName | None = None
    """Bearer: name of the secret that holds the token."""
    key: SecretName | None = None
    """API key: name of the secret that holds it …"""
    key_name: str = Field(default="X-API-Key", max_length=128, pattern=rf"^{_WORD}$")
    """… the name of the header or parameter that carries it …"""
    key_in: Literal["header", "query"] = "header"
    """… and which of the two it is. A server is likely to log what stands in a query."""
    token_url: str = Field(default="", max_length=1024, pattern=_URL)
    """OAuth 2: where tokens are given (``https://…``); must be allowed by the egress policy …"""
    client_id: str = Field(default="", max_length=256, pattern=r"^[\x20-\x7e]*$")
    """… client …"""
    client_secret: SecretName | None = None
    """… the name of the secret that holds its secret …"""
    client_in: Literal["header", "body"] = "header"
    """… where the two stand in the request (RFC 6749 §2.3.1) …"""
    scope: str = Field(default="", max_length=1024, pattern=r"^[\x21\x23-\x5b\x5d-\x7e ]*$")
    """… and what is asked for, when the server wants to know."""
    headers: dict[str, str] = Field(default={}, max_length=50)
    """Headers of all requests, such as ``Accept``; none for credentials."""
    query: Query = Field(default={}, max_length=_SPARE)
    """Parameters of all requests."""
    records: JsonPath | None = None
    """Where the list of rows lies in an answer: ``data.items``, or ``$`` for the answer itself. Without it an answer
    is a file, and its format is read as that of any other."""
    paging: Paging = ALONE
    """How the next page is found."""
    items: dict[str, Item] = Field(default={}, max_length=500)
    """Items worth naming, by path; ``sluice items`` shows these. Others can be read, too."""
    limits: Bounds = Bounds()
    """What is enough."""

    holds: ClassVar[Literal["tables", "files"]] = "files"
    destination: ClassVar[frozenset[str]] = frozenset(
        {"host", "port", "path", "tls", "ca", "auth", "key_name", "key_in", "token_url", "client_in", "headers"}
    )

    @field_validator("path")
    @classmethod
    def _plain(cls, path: str) -> str:
        bare = path.strip("/")
        if bare:
            try:
                check_path(bare)
            except (Invalid, Denied) as fault:
                raise Misfit(fault.message) from None
        return f"/{bare}" if bare else ""

    @field_validator("headers")
    @classmethod
    def _harmless(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(_WORD, name) or not _VALUE.fullmatch(value) or len(value) > 1024:  # noqa: PLR2004 - enough
                raise Misfit("a header is a name and one line of plain text")
            if name.lower() in _TAKEN:
                raise Misfit(f"the header {name.lower()} is not for a definition to say")
        return headers

    @field_validator("items")
    @classmethod
    def _reachable(cls, items: dict[str, Item]) -> dict[str, Item]:
        for name in items:
            try:
                _parts(name)
            except (Invalid, Denied) as fault:
                raise Misfit(fault.message) from None
        return items

    @model_validator(mode="after")
    def _one_way_in(self) -> Http:
        for kind, fields in KINDS.items():
            for field in fields:
                if bool(getattr(self, field)) != (kind == self.auth):
                    raise Misfit(f"auth: {kind} needs {' and '.join(fields)}; others have no use for it")
        if self.auth != "none" and self.tls not in ("verify-full", "verify-ca"):
            raise Misfit(
                "a credential is sent only to a server that has proved who it is: tls: verify-full or verify-ca"
            )
        own = [(each.paging, each.records) for each in self.items.values()]
        for paging, records in ((self.paging, self.records), *own):
            if paging is not None and paging.type != "none" and not (records or self.records):
                raise Misfit("paging needs 'records': where the rows lie in a page")
        return self

    @contextmanager
    def open(self, ctx: Context) -> Iterator[HttpSession]:
        """Hold who asks; nobody is asked yet."""
        session = HttpSession(self, ctx)
        try:
            yield session
        finally:
            session.close()


class HttpSession:
    """Tests, Lists, ReadsFiles."""

    def __init__(self, connection: Http, ctx: Context) -> None:
        """Hold the connection; each read has a client of its own, and the token is shared."""
        self._connection, self._ctx = connection, ctx
        self._access = Access(connection, ctx)
        self._askers: list[Asker] = []

    def close(self) -> None:
        """Hang up."""
        for asker in self._askers:
            asker.close()

    def _asker(self) -> Asker:
        asker = Asker(self._connection, self._access, self._ctx)
        self._askers.append(asker)
        return asker

    def test(self) -> str:
        """Ask for the first item that is named, or for the path itself, and say what came."""
        to = self._connection
        named = next(iter(to.items), "")
        spot = self._spot(named) if named else Spot(to.path or "/", to.query)
        status = self._asker().probe(begin(self._about(named).paging or to.paging, spot))
        if named and status != 200:  # noqa: PLR2004 - HTTP
            raise Failed(f"The server answers {status} for {named!r}.", where=self._place())
        signed = "" if to.auth == "none" else ", and takes the credential"
        return f"web server, answers {status}{signed if named else ''}"

    def _place(self) -> str:
        return f"{self._connection.host}:{self._connection.port}"

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield the items that the definition names and that begin with ``under``."""
        for name in sorted(self._connection.items):
            if name.startswith(under):
                yield Entry(name, "file")

    def fetch(self, path: str) -> BinaryIO:
        """Ask for an item; the first answer has come when this returns. ``Failed`` names a missing one."""
        spot, asker, about = self._spot(path), self._asker(), self._about(path)
        records = about.records or self._connection.records
        try:
            if records is None:
                return Stream.of(raw(asker, spot, path))
            return Stream.of(Pages(asker, about.paging or self._connection.paging, records, path).parts(spot))
        except SluiceError as fault:
            raise fault.at(self._place()) from fault.__cause__

    def size(self, path: str) -> int | None:
        """Return ``None``: a server seldom says how large an answer will be."""
        _parts(path)
        return None

    def _about(self, path: str) -> Item:
        return self._connection.items.get(path) or self._connection.items.get(path.partition("?")[0]) or Item()

    def _spot(self, path: str) -> Spot:
        below, query = _parts(path)
        return Spot(f"{self._connection.path}/{below}", {**self._connection.query, **self._about(path).query, **query})


def _parts(item: str) -> tuple[str, Query]:
    """Return path and query of an item, both as plain text. ``Denied`` or ``Invalid`` as for files (SEC-F06)."""
    path, asks, text = item.partition("?")
    check_path(path.removesuffix("/") if path != "/" else path)
    if not text.isprintable():
        raise Invalid("The query holds a control character.", where=path)
    query: Query = {}
    for pair in text.split("&") if asks else ():
        name, equals, value = pair.partition("=")
        if not name or not equals or name in query:
            raise Invalid("A query is name=value, with & between; no name comes twice.", where=path)
        query[name] = value
    return path, query
