"""Signatures that others can check with the public key alone: Ed25519 (RFC 8032)."""

import base64

from sluicegate.crypto.keys import Key


class Signer:
    """Signs with a key that is derived from one of ours."""

    def __init__(self, key: Key) -> None:
        """Take the first 32 bytes of ``key`` as the seed."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(key.raw[:32])

    @property
    def public(self) -> str:
        """The public key, PEM (SubjectPublicKeyInfo)."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        pem: bytes = self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode()

    def sign(self, text: bytes) -> str:
        """Return the signature of ``text``, base64."""
        return base64.b64encode(self._private.sign(text)).decode()


def verify(public: str, text: bytes, signature: str) -> bool:
    """Tell whether ``signature`` (base64) is that of ``text`` by the holder of ``public`` (PEM)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public.encode())
        raw = base64.b64decode(signature, validate=True)
        if not isinstance(key, Ed25519PublicKey):
            return False
        key.verify(raw, text)
    except (InvalidSignature, ValueError):
        return False
    return True
