"""What OpenID Connect needs of cryptography: PKCE (RFC 7636), a provider's keys (RFC 7517), ID tokens.

Signatures by four algorithms with public keys, and by no other: ``none`` and the HMACs, for which a public key would be
a password that everybody knows, reach no key at all. The signature is checked by PyJWT, the claims after it, strictly.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluicegate.base.secret import Secret
from sluicegate.crypto.opaque import same

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS: Final[Mapping[str, tuple[str, str]]] = {
    "RS256": ("RSA", ""), "PS256": ("RSA", ""), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519"),
}  # fmt: skip
"""Algorithms that an ID token may be signed by, with the type and curve of their keys."""
SKEW: Final = 60
"""Seconds that the provider's clock may differ from ours."""
LONGEST: Final = 32 * 1024
"""Characters of an ID token at the most: groups can be many."""
KEYS_MAX: Final = 64
"""Keys of a provider that are looked at."""
_BITS: Final = (2048, 8192)
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_SUBJECT = 255
_WHOLE = 2**53


class Unfit(Exception):
    """An ID token that is refused. The message says why, for the audit trail; who signs in is not told."""

    def __init__(self, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.message = message


class UnknownKey(Unfit):
    """The token names a key that is not among those known: perhaps the provider has new ones."""


class Wanted(NamedTuple):
    """What an ID token must say."""

    issuer: str
    audience: str
    """The client's id."""
    nonce: str
    since: float
    """When we asked: the token cannot be older."""


def new_text() -> Secret:
    """Return 256 random bits as text: a state, a nonce or a PKCE verifier."""
    return Secret(secrets.token_urlsafe(32))


def challenge(verifier: Secret) -> str:
    """Return the PKCE challenge (S256) of a verifier."""
    return _encode(hashlib.sha256(verifier.reveal().encode()).digest())


# -- a provider's keys -------------------------------------------------------------------------------------------------


class KeySet:
    """The public keys of a provider that an ID token can be signed by; all others it may show are left out."""

    def __init__(self, raw: bytes) -> None:
        """Read a JWK set. Raises ``Unfit`` when it is none, or holds more keys than anybody needs."""
        found = _object(raw)
        given = found.get("keys") if found else None
        if not isinstance(given, list):
            raise Unfit("The provider's keys are no JWK set.")
        if len(given) > KEYS_MAX:
            raise Unfit(f"The provider shows more than {KEYS_MAX} keys.")
        self._keys = [each for each in given if isinstance(each, dict) and _is_signing(each)]

    def __len__(self) -> int:
        """Return how many keys there are that can be used."""
        return len(self._keys)

    def find(self, algorithm: str, kid: str | None) -> PyJWK:
        """Return the one key for a token. Raises ``UnknownKey`` when there is none, ``Unfit`` when it is not clear."""
        from jwt import PyJWK as Read
        from jwt.exceptions import PyJWTError

        kty, crv = ALGORITHMS[algorithm]
        fitting = [
            each
            for each in self._keys
            if each["kty"] == kty
            and (not crv or each.get("crv") == crv)
            and each.get("alg") in (None, algorithm)
            and (kid is None or each.get("kid") == kid)
        ]
        if not fitting:
            raise UnknownKey("The token is signed by a key that the provider does not show.")
        if len(fitting) > 1:
            raise Unfit("The token does not say by which of the provider's keys it is signed.")
        try:
            return Read(fitting[0], algorithm)
        except (PyJWTError, ValueError, TypeError):
            raise Unfit("The provider's key cannot be read.") from None


def _is_signing(key: Mapping[str, Any]) -> bool:
    """Tell whether a key is public, for signatures, of a kind that is taken, and not a weak one."""
    if "d" in key or key.get("use") not in (None, "sig"):
        return False
    kind = key.get("kty"), key.get("crv", "") if key.get("kty") != "RSA" else ""
    if kind not in ALGORITHMS.values():
        return False
    if kind[0] != "RSA":
        return True
    modulus = key.get("n")
    if not isinstance(modulus, str) or len(modulus) > _BITS[1]:
        return False
    raw = _decode(modulus)
    return raw is not None and _BITS[0] <= int.from_bytes(raw).bit_length() <= _BITS[1]


# -- ID tokens ---------------------------------------------------------------------------------------------------------


def verify(token: str, keys: KeySet, wanted: Wanted, now: float, access: str = "") -> dict[str, Any]:
    """Return the claims of an ID token that holds. ``access``: the access token that came with it.

    Raises ``Unfit`` with the reason, or ``UnknownKey``.
    """
    shape = _SHAPE.fullmatch(token) if len(token) <= LONGEST else None
    header = _object(_decode(shape[1]) or b"") if shape else None
    if shape is None or header is None:
        raise Unfit("The ID token is no signed JWT.")
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Unfit("The ID token is not signed by an algorithm that is taken: " + ", ".join(ALGORITHMS) + ".")
    if "crit" in header or str(header.get("typ", "JWT")).upper() != "JWT" or not isinstance(kid, str | None):
        raise Unfit("The header of the ID token is not that of an ID token.")
    _check_signature(token, keys.find(algorithm, kid), algorithm)
    claims = _object(_decode(shape[2]) or b"")
    if claims is None:
        raise Unfit("The ID token holds no claims.")
    _check_names(claims, wanted)
    _check_times(claims, wanted, now)
    if "at_hash" in claims and not _is(claims["at_hash"], _half(access, algorithm)):
        raise Unfit("The access token is not the one that the ID token came with.")
    return claims


def _check_signature(token: str, key: PyJWK, algorithm: str) -> None:
    from jwt.api_jws import PyJWS
    from jwt.exceptions import PyJWTError

    try:
        PyJWS(algorithms=[algorithm]).decode(token, key.key, algorithms=[algorithm])
    except (PyJWTError, ValueError, TypeError):
        raise Unfit("The signature of the ID token does not hold.") from None


def _check_names(claims: Mapping[str, Any], wanted: Wanted) -> None:
    subject, given, party = claims.get("sub"), claims.get("aud"), claims.get("azp")
    if claims.get("iss") != wanted.issuer:
        raise Unfit("The ID token is of another issuer.")
    audience = [given] if isinstance(given, str) else given
    if not isinstance(audience, list) or wanted.audience not in audience:
        raise Unfit("The ID token is for another client.")
    if party != wanted.audience and (party is not None or len(audience) > 1):
        raise Unfit("The ID token was asked for by another client.")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT or not subject.isprintable():
        raise Unfit("The ID token does not say whose it is.")
    if not _is(claims.get("nonce"), wanted.nonce):
        raise Unfit("The ID token was not made for this sign-in.")


def _check_times(claims: Mapping[str, Any], wanted: Wanted, now: float) -> None:
    expires, issued, begins = (_time(claims.get(name)) for name in ("exp", "iat", "nbf"))
    if expires is None or expires <= now - SKEW:
        raise Unfit("The ID token is over.")
    if issued is None or not wanted.since - SKEW <= issued <= now + SKEW:
        raise Unfit("The ID token is of another time.")
    if "nbf" in claims and (begins is None or begins > now + SKEW):
        raise Unfit("The ID token does not hold yet.")


def is_fresh(claims: Mapping[str, Any], since: float, now: float) -> bool:
    """Tell whether the person was asked anew after ``since``.

    By the provider's clock alone: between its asking them and its giving out the token no more may have passed than by
    ours since we began; so a clock that is wrong makes nothing fresh.
    """
    at, issued = _time(claims.get("auth_time")), _time(claims.get("iat"))
    return at is not None and issued is not None and issued - at <= now - since + _ROUNDING


_ROUNDING = 2.0


def _time(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < _WHOLE else None


def _is(given: Any, wanted: str) -> bool:
    return isinstance(given, str) and same(given.encode("utf-8", "replace"), wanted.encode())


def _half(access: str, algorithm: str) -> str:
    """Return ``at_hash`` (OpenID Connect Core §3.1.3.6): the left half of the hash that the algorithm uses."""
    hashed = hashlib.sha512(access.encode()) if algorithm == "EdDSA" else hashlib.sha256(access.encode())
    raw = hashed.digest()
    return _encode(raw[: len(raw) // 2])


def _object(raw: bytes) -> dict[str, Any] | None:
    """Return a JSON object, each key once; ``None`` for anything else."""
    try:
        found = json.loads(raw.decode(), object_pairs_hook=_single)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _decode(text: str) -> bytes | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
