"""TLS for an installation without a certificate of its own: a local authority and a server certificate from it.

Both are ECDSA P-256 (RFC 5480) with the extensions of RFC 5280 that strict verifiers ask for. Keys are PKCS#8, 0600.
"""

import ipaddress
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock as clocks
from sluicegate.base.errors import Conflict, Invalid
from sluicegate.crypto.keys import read_private, sync_folder, write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.hazmat.primitives.hashes import SHA256

AUTHORITY: Final = "ca.pem"
AUTHORITY_KEY: Final = "ca-key.pem"
SERVER: Final = "server.pem"
SERVER_KEY: Final = "server-key.pem"

_AUTHORITY_DAYS = 3650
_SERVER_DAYS = 397  # what browsers accept of a public authority at the most, with a day to spare
_EARLY = timedelta(minutes=5)  # clients' clocks that are behind
_LIMIT = 256 * 1024
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.ASCII)


def create_authority(
    folder: Path, name: str = "Sluicegate local CA", *, clock: clocks.Clock = clocks.system
) -> tuple[Path, Path]:
    """Write a new authority, ``ca.pem`` and ``ca-key.pem``, to ``folder`` (made when missing); return the two paths.

    Good for ten years and for signing server certificates only. Raises ``Conflict`` when either file exists.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = folder / AUTHORITY, folder / AUTHORITY_KEY
    for path in paths:
        if path.exists():
            raise Conflict("There is an authority already; clients trust it.", where=str(path))
    key, start = ec.generate_private_key(ec.SECP256R1()), _start(clock)
    subject = _subject(name)
    certificate = (
        _builder(subject, key, subject, key)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=_AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, _sha256())
    )
    write_private(paths[1], _private(key))
    _publish(paths[0], _public(certificate), 0o644)
    return paths


def issue_server(folder: Path, hosts: Sequence[str], *, clock: clocks.Clock = clocks.system) -> tuple[Path, Path]:
    """Write ``server.pem`` (the certificate, then the authority's) and ``server-key.pem``; return the two paths.

    ``hosts`` are DNS names (``*.`` allowed in front) and IP addresses, all as subject alternative names. Good for
    397 days and never longer than the authority. Files that are there are replaced: this is also the renewal. Raises
    ``Invalid`` for a bad host, and for an authority that is missing, expired or unreadable.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    names = _names(hosts)
    issuer, issuer_key = _authority(folder, clock)
    key, start = ec.generate_private_key(ec.SECP256R1()), _start(clock)
    certificate = (
        _builder(_subject(hosts[0][:64]), key, issuer.subject, issuer_key)
        .not_valid_before(start)
        .not_valid_after(min(start + timedelta(days=_SERVER_DAYS), issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, _sha256())
    )
    paths = folder / SERVER, folder / SERVER_KEY
    # A crash between the two leaves a pair that check_pair() refuses by name; issuing again heals it.
    _publish(paths[1], _private(key), 0o600)
    _publish(paths[0], _public(certificate) + _public(issuer), 0o644)
    return paths


def fingerprint(pem: bytes) -> str:
    """Return SHA-256 of the first certificate in ``pem``, 64 lower-case hex digits. Raises ``Invalid``."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return sha256(_first(pem).public_bytes(Encoding.DER)).hexdigest()


def expires(pem: bytes) -> datetime:
    """Return when the first certificate in ``pem`` ends, in UTC. Raises ``Invalid``."""
    return _first(pem).not_valid_after_utc


def check_pair(cert_path: Path, key_path: Path, *, clock: clocks.Clock = clocks.system) -> None:
    """Check that a server can start with these two files, so that the reason for a refusal is told before it does.

    Raises ``Invalid`` that names the file and the reason: unreadable, not a certificate, writable by others, not valid
    yet, expired, key reachable by others, not PKCS#8 or under a passphrase, key of another certificate. Links are
    followed, for renewal tools keep the current pair behind one; the modes are those of the file itself.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        with cert_path.open("rb") as file:
            loose = os.fstat(file.fileno()).st_mode & 0o002
            pem = file.read(_LIMIT)
    except OSError as fault:
        raise Invalid(f"The certificate cannot be read: {fault.strerror}.", where=str(cert_path)) from None
    if loose:
        raise Invalid("Everyone may write the certificate.", where=str(cert_path), hint="Run chmod 644 on it.")
    certificate = _first(pem, where=str(cert_path))
    _check_time(certificate, str(cert_path), clock)
    key = _load_key(key_path, follow=True)
    shape = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*shape) != certificate.public_key().public_bytes(*shape):
        raise Invalid("The key does not belong to the certificate.", where=str(key_path))


def _authority(folder: Path, clock: clocks.Clock) -> "tuple[x509.Certificate, EllipticCurvePrivateKey]":
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    check_pair(folder / AUTHORITY, folder / AUTHORITY_KEY, clock=clock)
    key = _load_key(folder / AUTHORITY_KEY, follow=False)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise Invalid("The authority's key is not an ECDSA key.", where=str(folder / AUTHORITY_KEY))
    return _first((folder / AUTHORITY).read_bytes()), key


def _load_key(path: Path, *, follow: bool) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem, where = read_private(path, limit=_LIMIT, follow=follow), str(path)
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem:
        raise Invalid(
            "The key is under a passphrase.", where=where, hint="openssl pkcs8 -topk8 -nocrypt writes it plain."
        )
    if b"-----BEGIN PRIVATE KEY-----" not in pem:
        raise Invalid("The key is not PKCS#8 in PEM.", where=where, hint="openssl pkcs8 -topk8 -nocrypt converts it.")
    try:
        return load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Invalid("The key cannot be parsed.", where=where) from None


def _first(pem: bytes, *, where: str = "") -> "x509.Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise Invalid("This is not a certificate in PEM.", where=where) from None


def _check_time(certificate: "x509.Certificate", where: str, clock: clocks.Clock) -> None:
    now = datetime.fromtimestamp(clock(), UTC)
    if now < certificate.not_valid_before_utc:
        raise Invalid(f"The certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}.", where=where)
    if now >= certificate.not_valid_after_utc:
        raise Invalid(f"The certificate expired on {certificate.not_valid_after_utc:%Y-%m-%d}.", where=where)


def _start(clock: clocks.Clock) -> datetime:
    return datetime.fromtimestamp(int(clock()), UTC) - _EARLY


def _builder(
    subject: "x509.Name",
    key: "EllipticCurvePrivateKey",
    issuer: "x509.Name",
    issuer_key: "EllipticCurvePrivateKey",
) -> "x509.CertificateBuilder":
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _subject(name: str) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    except ValueError:
        raise Invalid("The name of a certificate has 1 to 64 characters.") from None


def _usage(*, authority: bool) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _names(hosts: Sequence[str]) -> "list[x509.GeneralName]":
    from cryptography import x509

    if isinstance(hosts, str) or not hosts:
        raise Invalid("A server certificate needs at least one host.")
    found: list[x509.GeneralName] = []
    for host in hosts:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            if len(host) > 253 or not _HOST.fullmatch(host.lower()):  # noqa: PLR2004 - RFC 1035 §2.3.4
                hint = "Give DNS names in ASCII (xn--… for others) or IP addresses, without scheme and port."
                raise Invalid(f"{host!r} is not a host.", hint=hint) from None
            found.append(x509.DNSName(host.lower()))
    return found


def _sha256() -> "SHA256":
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()


def _private(key: "EllipticCurvePrivateKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _publish(path: Path, content: bytes, mode: int) -> None:
    """Put ``content`` at ``path`` in one step, so that nobody reads half of it."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    write_private(part, content)
    part.chmod(mode)
    part.replace(path)
    sync_folder(path.parent)
