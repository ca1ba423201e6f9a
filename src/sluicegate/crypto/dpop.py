"""Proof of possession (DPoP, RFC 9449): a token is of use only with the client's private key.

A proof is a small JWT that the client signs for one request: method, URL, time, a fresh id, and the hash of the access
token it goes with. One algorithm, ES256: what every browser's WebCrypto has for keys that cannot be exported.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from sluicegate.base import clock as clocks
from sluicegate.base.errors import Invalid, Unauthenticated
from sluicegate.crypto.opaque import same

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

ALGORITHM: Final = "ES256"
WINDOW: Final = 60
"""Seconds that a proof is good for after it was made: clocks differ, and nothing is accepted twice meanwhile."""
AHEAD: Final = 10
"""Seconds that the client's clock may be ahead."""
LONGEST: Final = 2048
"""Characters of a proof at the most."""
KEYS_MAX: Final = 2048
"""Clients' keys that are kept parsed."""

_SHAPE = re.compile(r"([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{85}[AQgw])", re.ASCII)
_NUMBER = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", re.ASCII)  # 32 bytes, with nothing in the spare bits
_JTI = re.compile(r"[\x21-\x7e]{8,128}", re.ASCII)
_SIDE = 32


class _Known(NamedTuple):
    thumbprint: str
    key: EllipticCurvePublicKey


class ProofCheck:
    """Checks proofs and remembers them while they could be sent again. One for each process."""

    def __init__(self, clock: clocks.Clock = clocks.system) -> None:
        """Remember nothing yet."""
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._seen: tuple[set[bytes], set[bytes]] = (set(), set())
        self._turned = clock()

    def verify(self, proof: str, method: str, url: str, token: str | None) -> str:
        """Return the thumbprint (RFC 7638) of the key that made ``proof`` for this one request.

        ``url`` is the request's own, ``token`` the access token sent along. Raises ``Unauthenticated``, the same for
        every cause; that the proof was seen before is one.
        """
        shape = _SHAPE.fullmatch(proof) if len(proof) <= LONGEST else None
        if shape is None:
            raise Unauthenticated
        header, payload, signature = shape.groups()
        known = self._known.get(header) or _read_header(header)
        claims = _read_claims(payload, known.key, f"{header}.{payload}", signature)
        now = self._clock()
        if not (_fits(claims, method, url, token) and now - WINDOW <= claims["iat"] <= now + AHEAD):
            raise Unauthenticated
        self._remember(header, known)
        self._once(f"{known.thumbprint}.{claims['jti']}", now)
        return known.thumbprint

    def _remember(self, header: str, known: _Known) -> None:
        with self._lock:
            self._known[header] = known
            self._known.move_to_end(header)
            if len(self._known) > KEYS_MAX:
                self._known.popitem(last=False)

    def _once(self, proof: str, now: float) -> None:
        """Refuse what was seen before. Two sets take turns; one is dropped when nothing in it could hold any more."""
        mark = hashlib.blake2b(proof.encode(), digest_size=16).digest()
        with self._lock:
            if now - self._turned > WINDOW + AHEAD:
                old = now - self._turned > 2 * (WINDOW + AHEAD)
                self._seen = (set(), set() if old else self._seen[0])
                self._turned = now
            if mark in self._seen[0] or mark in self._seen[1]:
                raise Unauthenticated
            self._seen[0].add(mark)


def hash_token(token: str) -> str:
    """Return ``ath``: the base64url SHA-256 of an access token (RFC 9449 §4.2)."""
    return _encode(hashlib.sha256(token.encode()).digest())


def thumbprint(x: str, y: str) -> str:
    """Return the JWK thumbprint (RFC 7638 §3.2) of a P-256 key with these coordinates (base64url)."""
    return _encode(hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest())


def _read_header(text: str) -> _Known:
    header = _object(text)
    jwk = header.get("jwk")
    if set(header) != {"alg", "jwk", "typ"} or header["alg"] != ALGORITHM or header["typ"] != "dpop+jwt":
        raise Unauthenticated
    if not isinstance(jwk, dict) or set(jwk) != {"kty", "crv", "x", "y"} or (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
        raise Unauthenticated  # a private key in it, too, is refused here
    x, y = jwk["x"], jwk["y"]
    if not all(isinstance(each, str) and _NUMBER.fullmatch(each) for each in (x, y)):
        raise Unauthenticated
    from cryptography.hazmat.primitives.asymmetric import ec

    across, up = int.from_bytes(_decode(x)), int.from_bytes(_decode(y))
    try:
        key = ec.EllipticCurvePublicNumbers(across, up, ec.SECP256R1()).public_key()
    except ValueError:
        raise Unauthenticated from None  # not a point of the curve
    return _Known(thumbprint(x, y), key)


def _read_claims(text: str, key: EllipticCurvePublicKey, signed: str, signature: str) -> dict[str, Any]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    raw = _decode(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:_SIDE]), int.from_bytes(raw[_SIDE:]))
    try:
        key.verify(der, signed.encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise Unauthenticated from None
    return _object(text)


def _fits(claims: dict[str, Any], method: str, url: str, token: str | None) -> bool:
    jti, iat, ath = claims.get("jti"), claims.get("iat"), claims.get("ath", "")
    return (
        isinstance(jti, str)
        and _JTI.fullmatch(jti) is not None
        and type(iat) is int
        and claims.get("htm") == method
        and _plain(claims.get("htu")) == _plain(url) != ""
        and isinstance(ath, str)
        and (token is None or same(ath.encode("utf-8", "replace"), hash_token(token).encode()))
    )


def _plain(url: object) -> str:
    """Return an https URL without query and fragment, in lower case but for its path, and without the default port.

    That is how two are compared (RFC 9449 §4.3); what is no such URL is empty.
    """
    if not isinstance(url, str):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"https://{parts.netloc.lower().removesuffix(':443')}{parts.path}" if parts.scheme == "https" else ""


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(_decode(text).decode(), object_pairs_hook=_single)
    except (ValueError, RecursionError):
        raise Unauthenticated from None
    if not isinstance(found, dict):
        raise Unauthenticated
    return found


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Unauthenticated
    return found


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise Unauthenticated from None


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class ProofKey:
    """A client's own key pair: the command line keeps one in a file that only its user can read."""

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        """Hold ``private``."""
        numbers = private.public_key().public_numbers()
        x, y = (_encode(each.to_bytes(_SIDE)) for each in (numbers.x, numbers.y))
        self._private = private
        self._header = _encode(
            _compact({"alg": ALGORITHM, "jwk": {"crv": "P-256", "kty": "EC", "x": x, "y": y}, "typ": "dpop+jwt"})
        )
        self.thumbprint = thumbprint(x, y)

    @classmethod
    def new(cls) -> ProofKey:
        """Return a fresh one."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> ProofKey:
        """Return the one in ``path`` (PEM, mode 0600). Raises ``Invalid`` for any other file."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        from sluicegate.crypto.keys import read_private

        raw = read_private(path, limit=1024)
        try:
            private = load_pem_private_key(raw, None)
        except (ValueError, TypeError):
            private = None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
            raise Invalid("The key file does not hold a P-256 key.", where=str(path), hint="Run: sluice login")
        return cls(private)

    def save(self, path: Path) -> None:
        """Write a new file of mode 0600. Raises ``Conflict`` when there is one."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        from sluicegate.crypto.keys import write_private

        write_private(path, self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def prove(self, method: str, url: str, token: str | None = None, *, now: float | None = None) -> str:
        """Return a proof for one request; ``url`` is the whole URL, its query and fragment are left out."""
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        claims: dict[str, Any] = {
            "htm": method,
            "htu": _plain(url),
            "iat": int(clocks.system() if now is None else now),
            "jti": secrets.token_urlsafe(16),
        }
        if token is not None:
            claims["ath"] = hash_token(token)
        signed = f"{self._header}.{_encode(_compact(claims))}"
        r, s = utils.decode_dss_signature(self._private.sign(signed.encode(), ec.ECDSA(SHA256())))
        return f"{signed}.{_encode(r.to_bytes(_SIDE) + s.to_bytes(_SIDE))}"


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
