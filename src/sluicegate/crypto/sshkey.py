"""Private keys of SSH, in whichever form they were written, as the one form that the SSH client reads without fail."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from sluicegate.base.errors import Failed
from sluicegate.base.secret import Secret

RSA_BITS = 2048
"""An RSA key has at least so many."""


def unlock(key: Secret, phrase: Secret | None = None) -> tuple[str, Secret]:
    """Return the kind of ``key`` (``ed25519``, ``ecdsa``, ``rsa``) and the key in PEM, without a passphrase.

    Raises ``Failed`` when it cannot be read, or the passphrase is missing or another; never with what was read.
    """
    data = (key.reveal().strip() + "\n").encode("utf-8", "replace")
    load = load_ssh_private_key if b"BEGIN OPENSSH" in data else load_pem_private_key
    try:
        found = load(data, phrase.reveal().encode() if phrase else None)
    except TypeError:
        if phrase is None:
            raise Failed(
                "The private key has a passphrase.", where="key", hint="Name its secret: passphrase."
            ) from None
        raise Failed("The private key has no passphrase, and one is named.", where="passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Failed(
            "The private key cannot be read, or the passphrase is not its own.",
            where="key",
            hint="It is what ssh-keygen writes: ed25519, ECDSA or RSA.",
        ) from None
    if isinstance(found, Ed25519PrivateKey):
        kind, form = "ed25519", PrivateFormat.OpenSSH
    elif isinstance(found, EllipticCurvePrivateKey):
        kind, form = "ecdsa", PrivateFormat.TraditionalOpenSSL
    elif isinstance(found, RSAPrivateKey) and found.key_size >= RSA_BITS:
        kind, form = "rsa", PrivateFormat.TraditionalOpenSSL
    else:
        raise Failed(f"The private key is no ed25519, ECDSA or RSA of {RSA_BITS} bits.", where="key")
    return kind, Secret(found.private_bytes(Encoding.PEM, form, NoEncryption()).decode())
