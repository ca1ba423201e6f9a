"""Short-lived signed tokens: HS512 JWTs of one purpose, minted and checked here and nowhere else.

Only ``TokenRing`` mints, so a token has exactly one textual form, and everything else is refused *before* anything in
it is parsed: the shape by a regular expression, the header by equality with the one text that this ring writes for a
key. A foreign ``alg``, ``kid``, ``typ``, a doubled key, ``jku`` or ``crit`` therefore never reaches a parser, a file or
the network (RFC 8725 §3). The signature is checked by PyJWT; the claims after it, strictly, against our own clock.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from sluicegate.base import clock as clocks
from sluicegate.base.errors import Invalid, Unauthenticated, from_validation
from sluicegate.base.model import Model
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import Key, derive

if TYPE_CHECKING:
    from jwt.api_jws import PyJWS

ALGORITHM: Final = "HS512"
LEEWAY: Final = 5
"""Seconds that another node's clock may be ahead. A token is never accepted after its ``exp``."""

LONGEST: Final = 4096
"""Characters of a token at the most."""

# Three base64url parts; 64 bytes of signature are 86 characters, and 2 bits of the last one are used: A, Q, g, w.
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]", re.ASCII)
_KID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)
_WHOLE = 2**53

_Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_Seconds = Annotated[int, Field(ge=0, lt=_WHOLE)]
_Print = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


class Claims(Model):
    """What a token says (``reference/security.md`` §3.1). Nothing else is allowed in it: no e-mail, no permissions."""

    model_config = ConfigDict(strict=True)

    iss: _Text
    """The installation that minted it."""
    aud: _Text
    """What it is for: one text, never a list."""
    sub: _Text
    """Id of the user."""
    tid: _Text | None = None
    """Id of the tenant; left out of the token for a SuperAdmin who has chosen none."""
    role: Annotated[str, StringConstraints(max_length=64)]
    """The user's role in it."""
    jti: _Text
    """Id of this token, by which it is revoked."""
    iat: _Seconds
    """Minted at, in seconds since 1970."""
    nbf: _Seconds
    """Not valid before."""
    exp: _Seconds
    """Not valid at or after."""
    sid: Annotated[str, StringConstraints(max_length=256)]
    """Id of the refresh family it came from; may be empty."""
    epo: _Seconds
    """Epoch of the user's marks when it was minted."""
    cnf: dict[Annotated[str, StringConstraints(pattern=r"^(jkt|x5t#S256)$")], _Print] | None = None
    """The client's key it is bound to: ``{"jkt": thumbprint}`` (RFC 9449) or ``{"x5t#S256": …}`` (RFC 8705)."""


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "a key stands twice"
        raise ValueError(msg)
    return found


def _read(raw: bytes) -> dict[str, Any]:
    """Return a payload; raise ``ValueError`` for doubled keys, null and what is not an object in UTF-8."""
    found = json.loads(raw.decode(), object_pairs_hook=_single)
    if not isinstance(found, dict) or None in found.values():
        msg = "not an object, or one with a null"
        raise ValueError(msg)
    return found


def _compact(value: Mapping[str, Any]) -> bytes:
    # The form PyJWT writes for a header: sorted, no blanks, ASCII.
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


class TokenRing:
    """The keys of one purpose (``typ`` and ``audience``): one that signs, and those that still verify.

    Each key is derived once more with ``typ`` and ``audience``, so that rings of two purposes cannot read each other's
    tokens even when they are given the same keys.
    """

    def __init__(
        self,
        keys: Mapping[str, Key],
        signing: str,
        *,
        issuer: str,
        audience: str,
        typ: str = "at+jwt",
        ttl: int = 300,
        clock: clocks.Clock = clocks.system,
    ) -> None:
        """Hold ``keys`` by their ``kid`` (1 to 32 of ``A-Za-z0-9_-``); ``signing`` is the ``kid`` that mints.

        ``ttl`` is the life of a token in seconds, and the longest that ``verify`` accepts. Raises ``Invalid`` for a bad
        ``kid``, an unknown ``signing``, an empty name or a life of no seconds.
        """
        if signing not in keys:
            raise Invalid("The signing key is not among the keys of the ring.")
        if not all(_KID.fullmatch(kid) for kid in keys):
            raise Invalid("A key id has 1 to 32 letters, digits, - or _.")
        if not (issuer and audience and typ) or ttl < 1:
            raise Invalid("A token ring needs an issuer, an audience, a type and a life of at least 1 s.")
        self._issuer, self._audience, self._typ = issuer, audience, typ
        self._ttl, self._clock, self._signing = ttl, clock, signing
        self._keys = {kid: derive(key, purpose(typ, audience)) for kid, key in keys.items()}
        self._headers = {self._header(kid): key for kid, key in self._keys.items()}
        self._jws = _signer()

    def _header(self, kid: str) -> str:
        text = _compact({"alg": ALGORITHM, "kid": kid, "typ": self._typ})
        return base64.urlsafe_b64encode(text).rstrip(b"=").decode()

    def mint(
        self,
        sub: str,
        tid: str | None,
        role: str,
        jti: str,
        sid: str,
        epo: int = 0,
        cnf: dict[str, str] | None = None,
    ) -> tuple[Secret, int]:
        """Return a fresh token and the second (since 1970) at which it ends. Raises ``Invalid`` for unfit claims."""
        now = int(self._clock())
        expires = now + self._ttl
        try:
            claims = Claims(
                iss=self._issuer,
                aud=self._audience,
                sub=sub,
                tid=tid,
                role=str(role),
                jti=jti,
                iat=now,
                nbf=now,
                exp=expires,
                sid=sid,
                epo=epo,
                cnf=cnf,
            )
        except ValidationError as fault:
            raise from_validation(fault, where="token") from None
        text = self._jws.encode(
            _compact(claims.model_dump(exclude_none=True)),
            self._keys[self._signing].raw,
            algorithm=ALGORITHM,
            headers={"kid": self._signing, "typ": self._typ},
        )
        if len(text) > LONGEST:
            raise Invalid(f"The token would be longer than {LONGEST} characters.")
        return Secret(text), expires

    def verify(self, token: str) -> Claims:
        """Return the claims of a token of this purpose that holds now.

        Raises ``Unauthenticated``, the same for every cause. Whether it was revoked is not known here: ask by ``jti``
        and ``epo``, never by the token's text.
        """
        # Too long first: nothing looks at a text that no ring would write.
        shape = _SHAPE.fullmatch(token) if isinstance(token, str) and len(token) <= LONGEST else None
        key = self._headers.get(shape[1]) if shape else None
        if key is None:
            raise Unauthenticated
        from jwt.exceptions import PyJWTError

        try:
            claims = Claims.model_validate(_read(self._jws.decode(token, key.raw, algorithms=[ALGORITHM])))
        except (PyJWTError, ValueError, RecursionError):
            raise Unauthenticated from None  # ValidationError and JSONDecodeError are ValueErrors
        if not (claims.iss == self._issuer and claims.aud == self._audience and self._holds(claims)):
            raise Unauthenticated
        return claims

    def _holds(self, claims: Claims) -> bool:
        now = self._clock()
        ahead = now + LEEWAY
        return (
            claims.iat <= ahead
            and claims.nbf <= ahead
            and now < claims.exp
            and 0 < claims.exp - claims.iat <= self._ttl
        )


def purpose(typ: str, audience: str) -> str:
    """Return the purpose under which a ring derives its keys. A list in JSON: no two pairs read the same."""
    return "token " + json.dumps([typ, audience])


def _signer() -> "PyJWS":
    # On use: PyJWT loads all of cryptography's X.509, a quarter of a second that a command line need not pay.
    from jwt.api_jws import PyJWS

    return PyJWS(algorithms=[ALGORITHM], options={"enforce_minimum_key_length": True})
