"""OpenPGP messages (RFC 9580), encrypted to certificates and signed by one of ours.

The library reads and writes files by their paths and holds the interpreter's lock all the while, so it works in a
process of its own on pipes (``engine/pgp.py`` starts it and calls ``seal`` and ``unseal`` there). Here is what needs no
data: keys and certificates.

A message proves what is in it only at its end, and its signature stands there too.
"""

from collections.abc import Sequence
from typing import Any

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.secret import Secret

_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_PRIVATE = "PRIVATE KEY BLOCK"
_COMPRESSED = "Unexpected message structure"
CERTIFICATES = 100
"""Certificates that a message may be for."""


def new_key(name: str) -> tuple[Secret, str]:
    """Return a fresh key and its certificate, both armoured (RFC 4880 form, which every program reads)."""
    import pysequoia

    made = pysequoia.Tsk.generate(name, profile=pysequoia.Profile.RFC4880)
    return Secret(str(made)), str(made.extract_certificate())


def check_certificate(text: str) -> str:
    """Return the fingerprint (small hex letters) of the one armoured certificate in ``text``.

    Raises ``Invalid`` when it is none, holds a secret key, is revoked, or cannot be encrypted to now.
    """
    return str(_certificate(text).fingerprint)


def check_key(key: Secret) -> None:
    """Raise ``Invalid`` unless ``key`` is an armoured secret key without a password of its own."""
    _signer(key)


def seal(certificates: Sequence[str], signer: Secret | None, source: str, target: str) -> None:
    """Encrypt the file ``source`` into ``target`` for ``certificates``, signed when there is a ``signer``.

    Holds the interpreter's lock until it is done. Raises ``Invalid`` for a bad key.
    """
    import pysequoia

    if not 1 <= len(certificates) <= CERTIFICATES:
        raise Invalid(f"An OpenPGP archive needs 1 to {CERTIFICATES} recipients.")
    recipients = [_certificate(each) for each in certificates]
    pysequoia.encrypt_file(
        recipients=recipients, signer=_signer(signer) if signer else None, input=source, output=target, armor=False
    )


def unseal(key: Secret, signers: Sequence[str], source: str, target: str) -> None:
    """Decrypt the file ``source`` into ``target``. ``signers``: certificates, of which one must have signed it.

    Holds the interpreter's lock until it is done. Raises ``Corrupt``, whatever is wrong with the message: until then,
    what stands in ``target`` proves nothing. Raises ``Invalid`` for one whose signature the library cannot reach.
    """
    import pysequoia

    wanted = [_certificate(each, encrypts=False) for each in signers]
    decryptor = _key(key).decryptor()
    try:
        told = pysequoia.decrypt_file(
            decryptor=decryptor, input=source, output=target, store=(lambda _ids: wanted) if wanted else None
        )
    except Exception as fault:  # noqa: BLE001 - the library raises Exception itself, and its words tell causes apart
        if wanted and str(fault).startswith(_COMPRESSED):
            raise Invalid(
                "The message is compressed under its encryption, so its signature cannot be checked here.",
                hint="Have it made without: gpg --compress-algo none",
            ) from None
        raise Corrupt from None
    valid = {each.certificate for each in told.valid_sigs}
    if wanted and not valid & {each.fingerprint for each in wanted}:
        raise Corrupt


def _certificate(text: str, *, encrypts: bool = True) -> Any:
    import pysequoia

    plain = text.strip()
    if _PRIVATE in plain:
        raise Invalid("That is a secret key, not a certificate.", hint="Give the public half (gpg --armor --export).")
    if not plain.startswith(_BEGIN):
        raise Invalid("That is not an OpenPGP certificate.", hint=f"It starts with {_BEGIN}.")
    try:
        (found,) = pysequoia.Cert.split_bytes(plain.encode())
        revoked = found.is_revoked
        if encrypts and not revoked:
            pysequoia.encrypt(recipients=[found], bytes=b"")
    except Exception:  # noqa: BLE001 - the library raises Exception itself
        raise Invalid("That is not one OpenPGP certificate that can be encrypted to.", hint="Has it expired?") from None
    if revoked:
        raise Invalid("The OpenPGP certificate is revoked.")
    return found


def _key(key: Secret) -> Any:
    import pysequoia

    try:
        return pysequoia.Tsk.from_bytes(key.reveal().strip().encode())
    except Exception:  # noqa: BLE001 - the library raises Exception itself
        raise Invalid(
            "That is not an OpenPGP secret key.", hint="Give it armoured (gpg --armor --export-secret-keys)."
        ) from None


def _signer(key: Secret) -> Any:
    try:
        return _key(key).signer()
    except Invalid:
        raise
    except Exception:  # noqa: BLE001 - the library raises Exception itself
        raise Invalid(
            "The OpenPGP key cannot sign here.", hint="Take its password off: the vault protects it. Has it expired?"
        ) from None
