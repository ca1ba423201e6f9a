"""Signs anything, the way attackers do: for the suite that shows that an installation refuses it. Nothing else uses it.

A forged token is a header and claims as they are given, in whatever form, under a key of one's own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sluicegate.base import clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_SIDE = 32


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return what ``encode`` was given."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(value: Mapping[str, Any] | bytes) -> str:
    """Return one part of a token: an object as compact JSON, or bytes as they are."""
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    return encode(raw)


def by_secret(header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, key: bytes, algorithm: str) -> str:
    """Return a token under HMAC (``HS256``, ``HS384``, ``HS512``) with whatever key."""
    text = f"{part(header)}.{part(claims)}"
    return f"{text}.{encode(hmac.digest(key, text.encode(), _HASHES[algorithm]))}"


def fresh_id() -> str:
    """Return a text that nobody has sent before."""
    return secrets.token_urlsafe(16)


class EcKey:
    """A P-256 key: a client's own, or an attacker's."""

    def __init__(self) -> None:
        """Make a fresh one."""
        from cryptography.hazmat.primitives.asymmetric import ec

        self._private: EllipticCurvePrivateKey = ec.generate_private_key(ec.SECP256R1())
        numbers = self._private.private_numbers()
        x, y = (encode(each.to_bytes(_SIDE)) for each in (numbers.public_numbers.x, numbers.public_numbers.y))
        self.jwk = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
        self.private_jwk = {**self.jwk, "d": encode(numbers.private_value.to_bytes(_SIDE))}

    @property
    def pem(self) -> bytes:
        """The public key, as confused verifiers use it for a secret."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes) -> str:
        """Return a token under ES256, whatever its header says."""
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        text = f"{part(header)}.{part(claims)}"
        r, s = utils.decode_dss_signature(self._private.sign(text.encode(), ec.ECDSA(SHA256())))
        return f"{text}.{encode(r.to_bytes(_SIDE) + s.to_bytes(_SIDE))}"

    def header(self) -> dict[str, Any]:
        """Return the header of a good DPoP proof (RFC 9449)."""
        return {"alg": "ES256", "jwk": self.jwk, "typ": "dpop+jwt"}

    def claims(self, method: str, url: str, token: str | None = None) -> dict[str, Any]:
        """Return the claims of a good DPoP proof for one request."""
        found: dict[str, Any] = {"htm": method, "htu": url, "iat": int(clock.system()), "jti": fresh_id()}
        if token is not None:
            found["ath"] = encode(hashlib.sha256(token.encode()).digest())
        return found

    def prove(self, method: str, url: str, token: str | None = None) -> str:
        """Return a good DPoP proof for one request."""
        return self.sign(self.header(), self.claims(method, url, token))


class RsaKey:
    """An RSA key of an attacker."""

    def __init__(self) -> None:
        """Make a fresh one."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        self._private: RSAPrivateKey = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._private.public_key().public_numbers()
        n, e = (encode(each.to_bytes((each.bit_length() + 7) // 8)) for each in (numbers.n, numbers.e))
        self.jwk = {"e": e, "kty": "RSA", "n": n}

    @property
    def pem(self) -> bytes:
        """The public key."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes) -> str:
        """Return a token under RS256, whatever its header says."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        text = f"{part(header)}.{part(claims)}"
        return f"{text}.{encode(self._private.sign(text.encode(), PKCS1v15(), SHA256()))}"
