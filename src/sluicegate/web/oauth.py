"""``POST /oauth/token``: the exchange of an API key as OAuth 2 clients speak it (RFC 6749 §4.4, client credentials).

The client's id is the key's id, its secret the key. It is another dress of the operation ``session.key``, and goes
through the same gate.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

from sluicegate.base.errors import (
    Denied,
    Invalid,
    Malformed,
    SluiceError,
    Throttled,
    TooLarge,
    Unauthenticated,
    Unavailable,
    wait_of,
)
from sluicegate.base.permission import Permission

if TYPE_CHECKING:
    from sluicegate.base.model import Model

PATH = "/oauth/token"
BODY_MAX = 16 * 1024
_FIELDS_MAX = 16
_FORM = "application/x-www-form-urlencoded"
_KNOWN = frozenset(Permission)


class Refused(Exception):
    """A request that OAuth has a word for: it never leaves this endpoint."""

    def __init__(self, error: str, message: str) -> None:
        """Hold the word (RFC 6749 §5.2) and a sentence."""
        super().__init__(message)
        self.error, self.message = error, message


def question(raw: bytes, kind: str, authorization: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Return the question to ``session.key`` that a token request holds, and the scopes it asks for.

    Raises ``Refused``, and ``Unauthenticated`` when the client shows nothing.
    """
    if kind.partition(";")[0].strip().lower() != _FORM:
        raise Refused("invalid_request", f"The body is to be {_FORM}.")
    form = _form(raw)
    if "grant_type" not in form:
        raise Refused("invalid_request", "The grant_type is missing.")
    if form["grant_type"] != "client_credentials":
        raise Refused("unsupported_grant_type", "Only client_credentials is spoken here.")
    client, secret = _credentials(form, authorization)
    asked = frozenset(form.get("scope", "").split())
    if asked - _KNOWN:
        raise Refused("invalid_scope", "There is no such scope.")
    return {"key": secret, **({"client": client} if client else {})}, asked


def answer(found: Model, asked: frozenset[str]) -> dict[str, Any]:
    """Return what OAuth answers (RFC 6749 §5.1). Raises ``Refused`` when more was asked for than the key has."""
    told = found.model_dump()
    if asked - set(told["scopes"]):
        raise Refused("invalid_scope", "The key does not have all of the scopes asked for.")
    return {
        "access_token": told["access"],
        "token_type": told["token_type"],
        "expires_in": told["expires_in"],
        "scope": " ".join(told["scopes"]),
    }


def problem(fault: SluiceError | Refused, *, proof: bool) -> tuple[dict[str, str], int, dict[str, str]]:
    """Return an error as OAuth says it (RFC 6749 §5.2): body, status, headers. ``proof``: a DPoP proof came along."""
    if isinstance(fault, Refused):
        return _told(fault.error, fault), 400, {}
    if isinstance(fault, Throttled):
        return _told("temporarily_unavailable", fault), 429, {"retry-after": str(wait_of(fault.after))}
    if isinstance(fault, Unauthenticated):
        # The gate's own words are those for a bad proof: the key is looked at only after it.
        word = "invalid_dpop_proof" if "proof" in fault.message or (proof and fault.message == _GATE) else ""
        if word:
            return _told(word, fault), 400, {}
        return _told("invalid_client", fault), 401, {"www-authenticate": 'Basic realm="sluicegate", charset="UTF-8"'}
    if isinstance(fault, Malformed | Invalid | TooLarge):
        return _told("invalid_request", fault), fault.status, {}
    if isinstance(fault, Denied):
        return _told("unauthorized_client", fault), 403, {}
    word = "temporarily_unavailable" if isinstance(fault, Unavailable) else "server_error"
    return _told(word, fault), fault.status, {}


_GATE = Unauthenticated().message


def _told(error: str, fault: SluiceError | Refused) -> dict[str, str]:
    # RFC 6749 allows printable ASCII without quotes and backslashes here.
    said = "".join(each for each in fault.message if " " <= each <= "~" and each not in '"\\')
    return {"error": error, "error_description": said}


def _form(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(raw),
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError:
        raise Refused("invalid_request", "The body is not a form.") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("invalid_request", "A field stands twice.")
    return found


def _credentials(form: dict[str, str], authorization: str) -> tuple[str, str]:
    scheme, _, text = authorization.partition(" ")
    basic = scheme.lower() == "basic"
    if basic and "client_secret" in form:
        raise Refused("invalid_request", "The client shows itself in two ways.")
    if not basic:
        if authorization or not form.get("client_secret"):
            raise Unauthenticated("The client does not show who it is.")
        return form.get("client_id", ""), form["client_secret"]
    try:
        raw = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Unauthenticated("The client does not show who it is.") from None
    client, _, secret = raw.partition(":")
    client, secret = unquote_plus(client), unquote_plus(secret)
    if form.get("client_id", client) != client:
        raise Refused("invalid_request", "The client shows itself in two ways.")
    return client, secret
