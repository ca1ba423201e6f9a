"""The local authority and its server certificate hold in a real handshake; a bad pair is refused with its reason."""

import hashlib
import socket
import ssl
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from sluicegate.base.errors import Conflict, Invalid
from sluicegate.crypto.tls import check_pair, create_authority, expires, fingerprint, issue_server

HOSTS = ["localhost", "etl.example.org", "*.etl.example.org", "127.0.0.1", "::1"]
DAY = 86_400.0


def now():
    return datetime.now(UTC).timestamp()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls") / "new" / "folder"
    create_authority(folder)
    issue_server(folder, HOSTS)
    return folder


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def handshake(home, host, *, authority=None, version=ssl.TLSVersion.TLSv1_3):
    """Return the protocol of a real handshake over loopback with strict checks on the client."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = version
    server.load_cert_chain(home / "server.pem", home / "server-key.pem")
    client = ssl.create_default_context(cafile=authority or home / "ca.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()
    faults = []

    def serve():
        try:
            with server.wrap_socket(there, server_side=True) as wire:
                wire.sendall(b"hello")
        except (ssl.SSLError, ConnectionError) as fault:
            faults.append(fault)
        finally:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(here, server_hostname=host) as wire:
            assert wire.recv(5) == b"hello"
            return wire.version()
    finally:
        here.close()
        thread.join()


@pytest.mark.security
@pytest.mark.parametrize("host", ["localhost", "etl.example.org", "one.etl.example.org", "127.0.0.1", "::1"])
def test_a_strict_client_that_trusts_the_authority_connects(home, host):
    assert handshake(home, host) == "TLSv1.3"


@pytest.mark.security
@pytest.mark.parametrize("host", ["example.org", "a.b.etl.example.org", "127.0.0.2", "evil.localhost"])
def test_another_host_is_refused(home, host):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        handshake(home, host)


@pytest.mark.security
def test_another_authority_of_the_same_name_is_refused(home, tmp_path):
    create_authority(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(home, "localhost", authority=tmp_path / "ca.pem")


@pytest.mark.security
def test_keys_are_pkcs8_p256_and_ours_alone(home):
    for name in ("ca-key.pem", "server-key.pem"):
        assert mode(home / name) == 0o600
        raw = (home / name).read_bytes()
        assert raw.startswith(b"-----BEGIN PRIVATE KEY-----")
        assert isinstance(load_pem_private_key(raw, None).curve, ec.SECP256R1)
    assert mode(home) == 0o700
    assert not list(home.glob(".*"))


@pytest.mark.security
def test_the_certificates_say_what_they_should(home):
    server, issuer = x509.load_pem_x509_certificates((home / "server.pem").read_bytes())
    (authority,) = x509.load_pem_x509_certificates((home / "ca.pem").read_bytes())
    assert issuer == authority
    server.verify_directly_issued_by(authority)
    authority.verify_directly_issued_by(authority)

    def extension(certificate, kind):
        found = certificate.extensions.get_extension_for_class(kind)
        return found.value, found.critical

    assert extension(authority, x509.BasicConstraints) == (x509.BasicConstraints(ca=True, path_length=0), True)
    assert extension(server, x509.BasicConstraints) == (x509.BasicConstraints(ca=False, path_length=None), True)
    usage, critical = extension(authority, x509.KeyUsage)
    assert (usage.key_cert_sign, usage.digital_signature, critical) == (True, False, True)
    usage, critical = extension(server, x509.KeyUsage)
    assert (usage.key_cert_sign, usage.digital_signature, critical) == (False, True, True)
    assert extension(server, x509.ExtendedKeyUsage)[0] == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    names = extension(server, x509.SubjectAlternativeName)[0]
    assert names.get_values_for_type(x509.DNSName) == HOSTS[:3]
    assert [str(item) for item in names.get_values_for_type(x509.IPAddress)] == HOSTS[3:]
    assert server.version is authority.version is x509.Version.v3
    assert server.not_valid_after_utc - server.not_valid_before_utc == timedelta(days=397)
    assert authority.not_valid_after_utc - authority.not_valid_before_utc == timedelta(days=3650)
    assert server.serial_number != authority.serial_number


def test_openssl_agrees(home):
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", home / "ca.pem", home / "server.pem"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        ["openssl", "x509", "-in", home / "ca.pem", "-noout", "-fingerprint", "-sha256"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip().split("=")[1].replace(":", "").lower() == fingerprint((home / "ca.pem").read_bytes())


@pytest.mark.security
def test_an_authority_is_never_overwritten(home):
    before = (home / "ca.pem").read_bytes(), (home / "ca-key.pem").read_bytes()
    with pytest.raises(Conflict):
        create_authority(home)
    assert before == ((home / "ca.pem").read_bytes(), (home / "ca-key.pem").read_bytes())


@pytest.mark.parametrize("left", ["ca.pem", "ca-key.pem"])
def test_half_an_authority_is_not_completed_by_guessing(tmp_path, left):
    create_authority(tmp_path)
    ({"ca.pem": tmp_path / "ca-key.pem", "ca-key.pem": tmp_path / "ca.pem"}[left]).unlink()
    with pytest.raises(Conflict):
        create_authority(tmp_path)
    with pytest.raises(Invalid):
        issue_server(tmp_path, ["localhost"])


def test_issuing_again_renews_key_and_certificate(tmp_path):
    create_authority(tmp_path, "Own name")
    issue_server(tmp_path, ["localhost"])
    before = fingerprint((tmp_path / "server.pem").read_bytes()), (tmp_path / "server-key.pem").read_bytes()
    cert, key = issue_server(tmp_path, ["localhost"])
    assert before[0] != fingerprint(cert.read_bytes())
    assert before[1] != key.read_bytes()
    check_pair(cert, key)
    assert b"Own name" in x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes()).subject.public_bytes()


def test_a_server_certificate_does_not_outlive_its_authority(tmp_path):
    create_authority(tmp_path, clock=lambda: now() - 3550 * DAY)
    issue_server(tmp_path, ["localhost"])
    pem = (tmp_path / "server.pem").read_bytes()
    assert expires(pem) == expires((tmp_path / "ca.pem").read_bytes())
    assert handshake(tmp_path, "localhost")


@pytest.mark.security
def test_an_expired_authority_issues_nothing(tmp_path):
    create_authority(tmp_path, clock=lambda: now() - 3651 * DAY)
    with pytest.raises(Invalid, match="expired") as told:
        issue_server(tmp_path, ["localhost"])
    assert told.value.where.endswith("ca.pem")
    assert not (tmp_path / "server.pem").exists()


@pytest.mark.security
@pytest.mark.parametrize(
    "hosts",
    [
        [],
        "localhost",
        [""],
        ["a b"],
        ["https://x"],
        ["x:8443"],
        ["-x"],
        ["x-"],
        ["x..y"],
        ["*"],
        ["*.*.x"],
        ["x.*.y"],
        ["ü.example"],
        ["x\0.evil"],
        ["x\n"],
        ["a" * 64],
        ["a." * 130 + "a"],
        ["localhost", "1.2.3.4/24"],
        ["localhost", ""],
    ],
)
def test_a_bad_host_is_refused_and_nothing_is_written(home, hosts):
    before = (home / "server.pem").read_bytes()
    with pytest.raises(Invalid, match="host"):
        issue_server(home, hosts)
    assert (home / "server.pem").read_bytes() == before


def test_a_long_host_is_shortened_in_the_subject_only(tmp_path):
    host = ".".join(["a" * 30] * 4)
    create_authority(tmp_path)
    issue_server(tmp_path, [host])
    assert handshake(tmp_path, host)


def test_a_name_that_does_not_fit_is_refused(tmp_path):
    for name in ("", "x" * 65):
        with pytest.raises(Invalid, match="1 to 64"):
            create_authority(tmp_path, name)


def test_fingerprint_and_end(home):
    pem = (home / "server.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    assert fingerprint(pem) == hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    assert expires(pem) == certificate.not_valid_after_utc
    assert expires(pem).tzinfo is UTC
    for bad in (b"", b"x", pem[:200], (home / "server-key.pem").read_bytes()):
        with pytest.raises(Invalid, match="not a certificate"):
            fingerprint(bad)
        with pytest.raises(Invalid, match="not a certificate"):
            expires(bad)


# --- check_pair ---


@pytest.fixture
def pair(home, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes((home / "server.pem").read_bytes())
    key.write_bytes((home / "server-key.pem").read_bytes())
    key.chmod(0o600)
    return cert, key


def reason(pair, **more):
    with pytest.raises(Invalid) as told:
        check_pair(*pair, **more)
    assert told.value.where in {str(pair[0]), str(pair[1])}
    return told.value.message


def test_a_good_pair_passes_behind_links_too(pair, tmp_path):
    check_pair(*pair)
    links = tmp_path / "live-cert.pem", tmp_path / "live-key.pem"
    for link, path in zip(links, pair, strict=True):
        link.symlink_to(path)
    check_pair(*links)


@pytest.mark.security
def test_time_is_checked(pair):
    assert "expired on" in reason(pair, clock=lambda: now() + 397 * DAY)
    assert "not valid before" in reason(pair, clock=lambda: now() - DAY)
    check_pair(*pair, clock=lambda: now() + 396 * DAY)


@pytest.mark.security
@pytest.mark.parametrize("loose", [0o640, 0o604, 0o644, 0o660, 0o666])
def test_a_key_that_others_reach_is_refused(pair, loose):
    pair[1].chmod(loose)
    assert f"mode {loose:04o}" in reason(pair)


@pytest.mark.security
def test_a_loose_key_behind_a_link_is_refused(pair, tmp_path):
    link = tmp_path / "link.pem"
    link.symlink_to(pair[1])
    pair[1].chmod(0o644)
    assert "mode 0644" in reason((pair[0], link))


@pytest.mark.security
def test_a_certificate_that_everyone_may_write_is_refused(pair):
    pair[0].chmod(0o666)
    assert "Everyone may write" in reason(pair)


@pytest.mark.security
def test_the_key_of_another_certificate_is_refused(pair, home):
    pair[1].write_bytes((home / "ca-key.pem").read_bytes())
    assert "does not belong" in reason(pair)


@pytest.mark.security
def test_only_plain_pkcs8_is_taken(pair):
    key = load_pem_private_key(pair[1].read_bytes(), None)
    traditional = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
    for raw, words in (
        (traditional, "not PKCS#8"),
        (locked, "passphrase"),
        (b"", "not PKCS#8"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be parsed"),
    ):
        pair[1].write_bytes(raw)
        assert words in reason(pair)


def test_missing_and_unreadable_files_are_named(pair, tmp_path):
    gone = tmp_path / "gone.pem"
    assert "cannot be read: No such file" in reason((gone, pair[1]))
    assert "cannot be opened: No such file" in reason((pair[0], gone))
    pair[0].write_bytes(b"nothing")
    assert "not a certificate" in reason(pair)
