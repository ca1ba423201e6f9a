"""Who asks: the header or parameter that proves it, and the tokens of OAuth 2 (RFC 6749 §4.4, RFC 6750, RFC 7617)."""

from __future__ import annotations

import base64
import re
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from sluicegate.base.errors import Failed, SignInRefused
from sluicegate.base.secret import Secret
from sluicegate.kit import objects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sluicegate.connectors.http import Http
    from sluicegate.kit.connection import SecretName
    from sluicegate.kit.context import Context

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "basic": ("user", "password"),
    "bearer": ("token",),
    "api_key": ("key",),
    "oauth2": ("token_url", "client_id", "client_secret"),
}
"""By kind: the fields that it needs, and that no other has a use for."""
_STEP, _TOTAL, _LIMIT = 10.0, 30.0, 64 * 1024
_EARLY, _LIFE = 30.0, 300.0  # seconds: a token is renewed so long before its end; it lives so long when nobody says
_LONGEST = 86400.0
_PLAIN = re.compile(r"[\x21-\x7e]+")
_GOOD, _REFUSED = 200, (400, 401, 403)


class Access:
    """The credential of one connection; asks for a token when one is needed."""

    def __init__(self, connection: Http, ctx: Context) -> None:
        """Hold where the credential comes from."""
        self._connection, self._ctx = connection, ctx
        self._token: Secret | None = None
        self._until = 0.0

    def headers(self) -> dict[str, str]:
        """Return the headers that carry the credential. ``Failed`` for a secret that cannot stand there."""
        to = self._connection
        if to.auth == "basic":
            return {"authorization": _basic(to.user, self._secret(to.password))}
        if to.auth == "bearer":
            return {"authorization": f"Bearer {_fit(self._secret(to.token))}"}
        if to.auth == "oauth2":
            return {"authorization": f"Bearer {_fit(self._fresh())}"}
        if to.auth == "api_key" and to.key_in == "header":
            return {to.key_name: _fit(self._secret(to.key))}
        return {}

    def query(self) -> dict[str, str]:
        """Return the parameter that carries the credential, when one does."""
        to = self._connection
        if to.auth == "api_key" and to.key_in == "query":
            return {to.key_name: self._secret(to.key).reveal()}
        return {}

    def renew(self) -> bool:
        """Forget the token, so that the next request gets another; False when there is none to forget."""
        had, self._token = self._token is not None, None
        return had

    def _secret(self, named: SecretName | None) -> Secret:
        return self._ctx.secret(named.secret if named is not None else "")

    def _fresh(self) -> Secret:
        if self._token is None or time.monotonic() >= self._until:
            self._token = self._ask()
        return self._token

    def _ask(self) -> Secret:
        where = urlsplit(self._connection.token_url).netloc
        status, body = self._answer()
        if status in _REFUSED:
            raise SignInRefused(
                "The server that gives tokens does not take the client.",
                where=where,
                hint="Are client_id and its secret right, and may it have this scope? Its log says more.",
            )
        try:
            answer = objects.parse(body) if status == _GOOD else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
            raise Failed(f"The server that gives tokens gives none; it answers {status}.", where=where)
        if str(answer.get("token_type", "bearer")).lower() != "bearer":
            raise Failed("The server gives tokens of another sort than bearer.", where=where)
        life = answer.get("expires_in")
        seconds = float(life) if isinstance(life, int | float) and 0 < life < _LONGEST else _LIFE
        self._until = time.monotonic() + max(seconds - _EARLY, 1.0)
        return Secret(answer["access_token"])

    def _answer(self) -> tuple[int, bytes]:
        to = self._connection
        secret, told = self._secret(to.client_secret), {"grant_type": "client_credentials"}
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if to.scope:
            told["scope"] = to.scope
        if to.client_in == "header":
            headers["authorization"] = _basic(quote_plus(to.client_id), Secret(quote_plus(secret.reveal())))
        else:
            told |= {"client_id": to.client_id, "client_secret": secret.reveal()}
        headers["content-type"] = "application/x-www-form-urlencoded"
        body, net = urlencode(told).encode(), self._ctx.net
        with net.http(ca=to.ca, timeout=_STEP, total=_TOTAL, headers=headers) as client:
            return net.read(client, "POST", to.token_url, limit=_LIMIT, content=body)


def _basic(user: str, password: Secret) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()


def _fit(secret: Secret) -> str:
    """Return what may stand in a header; a line break would begin another one."""
    text = secret.reveal()
    if not _PLAIN.fullmatch(text):
        raise Failed("The credential cannot stand in a header: it holds a space, a line break or no ASCII.")
    return text
