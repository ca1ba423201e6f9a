from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sluicegate.base.errors import Failed, SignInRefused, SluiceError, Unreachable
from sluicegate.conformance.connection import CANARY, chain
from sluicegate.connectors.postgres import Postgres
from sluicegate.kit.context import Context
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from tests.connectors.warehouse import connection, context, load, query, read
from tests.fixtures.postgres import start, stop


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_wrong_password_is_told_without_it(server, tmp_path):
    with Root(tmp_path) as root, pytest.raises(SignInRefused) as caught, connection(server).open(context(root, CANARY)):
        pass
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert "'admin' or its password" in str(caught.value)
    assert CANARY not in chain(caught.value)
    assert server.password not in chain(caught.value)


def test_unknown_database_is_told(server, ctx):
    with pytest.raises(Failed, match="no database 'gone'"), connection(server, database="gone").open(ctx):
        pass


def test_unset_secret_is_told(server, tmp_path):
    with Root(tmp_path) as root:
        bare = Context(net=Net(Egress.local()), files=root)
        with pytest.raises(Failed, match="'pw' is not set"), connection(server).open(bare):
            pass


@pytest.mark.security
@pytest.mark.req("SEC-E07")
def test_environment_is_not_heeded(server, ctx, tmp_path, monkeypatch):
    """libpq would take host, options, service and password files from here."""
    service = tmp_path / "service.conf"
    service.write_text("[evil]\nhost=203.0.113.1\noptions=-c search_path=evil\n")
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:*:{server.password}\n")
    passfile.chmod(0o600)
    (tmp_path / ".postgresql").mkdir()
    for name, value in {
        "PGHOST": "203.0.113.1", "PGHOSTADDR": "203.0.113.1", "PGSERVICE": "evil", "PGSERVICEFILE": str(service),
        "PGOPTIONS": "-c search_path=evil", "PGPASSFILE": str(passfile), "PGSSLMODE": "require",
        "PGPASSWORD": server.password,
        "PGAPPNAME": "evil", "PGDATABASE": "evil", "PGREQUIREAUTH": "none", "PGCONNECT_TIMEOUT": "1",
        "HOME": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with connection(server).open(ctx) as session:
        assert session.test()
        row = (
            session._links[0]
            .execute("select current_setting('search_path'), current_setting('application_name')")
            .fetchone()
        )
    assert row == ('"$user", public', "sluicegate")
    bare = connection(server).model_copy(update={"password": None})
    with pytest.raises(Failed), bare.open(ctx):
        pass  # neither PGPASSWORD nor the password file may stand in for the secret
    assert os.environ["PGSERVICE"] == "evil"


@pytest.mark.security
@pytest.mark.req("SEC-E07")
@pytest.mark.parametrize(
    "item", ["t; copy t to program 'id'", "(select 1)", "pg_read_file('/etc/passwd')", "t to program 'id' --"]
)
def test_item_is_a_name_and_nothing_else(server, ctx, item):
    server.execute("create table t (v int)")
    with pytest.raises(SluiceError):
        read(server, ctx, item)
    load(server, ctx, {"v": [1]}, item=item)
    assert query(server, "select count(*) from pg_class where relname = $x$" + item.split(".")[-1] + "$x$") == [(1,)]


@pytest.mark.security
def test_reading_cannot_write(server, ctx):
    server.execute("create table t (v int)")
    server.execute("create function hit() returns int language sql volatile as 'insert into t values (1) returning v'")
    server.execute("create view bad as select hit()")
    with pytest.raises(Failed, match="read-only"):
        read(server, ctx, "bad")


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_what_leads_elsewhere_clears_the_secret():
    assert {"host", "port", "database", "tls"} <= Postgres.destination


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_password_is_not_given_in_clear_to_an_unproven_server(tmp_path):
    """A server that asks for the password itself and has shown no certificate gets none."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard = []

    def serve():
        link, _ = listener.accept()
        with link:
            link.settimeout(3)
            heard.append(link.recv(65536))
            link.sendall(b"R" + struct.pack(">ii", 8, 3))  # AuthenticationCleartextPassword
            heard.append(link.recv(65536))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        target = Postgres(
            name="x", host="127.0.0.1", port=listener.getsockname()[1], database="d", user="u",
            password={"secret": "pw"},
            tls="disable",
        )  # fmt: skip
        with Root(tmp_path) as root, pytest.raises(SluiceError), target.open(context(root, CANARY)):
            pass
    finally:
        thread.join(5)
        listener.close()
    assert heard[0]
    assert CANARY.encode() not in b"".join(heard)


def certificate(name, *, issuer=None, days=(-10, 10), host="127.0.0.1"):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signer, signing = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(signer).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0])).not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .sign(signing, hashes.SHA256())
    )  # fmt: skip
    return made, key


def pem(made):
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def tls_server():
    """Give a server over TLS, and what changes its certificate."""
    folder = Path(tempfile.mkdtemp(prefix="sluice-pg-tls-"))
    authority = certificate("authority")

    def present(**kw):
        made, key = certificate("server", **{"issuer": authority} | kw)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for name, text in (("server.crt", pem(made).encode()), ("server.key", secret)):
            (folder / name).write_bytes(text)
            (folder / name).chmod(0o600)
            if folder.owner() != (folder / name).owner():
                shutil.chown(folder / name, folder.owner())
        if server:
            [(since,)] = query(server, "select now()")
            server.execute("select pg_reload_conf()")
            wait_until_reloaded(server, since)

    server = None
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    present()
    server = start(
        folder, options=f"ssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n"
    )
    try:
        yield server, present, pem(authority[0])
    finally:
        stop(server)
        shutil.rmtree(folder, ignore_errors=True)


def attempt(server, root, **more):
    with connection(server, **more).open(context(root, server.password)) as session:
        return session._links[0].execute("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()").fetchone()


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_certificates(tls_server, tmp_path):
    server, present, ca = tls_server
    told = {
        "has expired": {"days": (-10, -1)},
        "is for another host": {"host": "127.0.0.2"},
        "is signed by itself": {"issuer": None},
    }
    with Root(tmp_path) as root:
        assert attempt(server, root, tls="verify-full", ca=ca) == (True, "TLSv1.3")
        with pytest.raises(Unreachable, match="does not answer over TLS"):
            attempt(server, root, tls="verify-full")
        with pytest.raises(SluiceError, match="CA is not a certificate"):
            attempt(server, root, tls="verify-full", ca="nonsense")
        for reason, kw in told.items():
            present(**kw)
            with pytest.raises(Unreachable) as caught:
                attempt(server, root, tls="verify-full", ca=ca)
            assert reason in str(caught.value)
            assert f"127.0.0.1:{server.port}" in str(caught.value)
            assert server.password not in chain(caught.value)
            assert attempt(server, root, tls="require")[0] is True
        present(host="127.0.0.2")
        assert attempt(server, root, tls="verify-ca", ca=ca)[0] is True


def wait_until_reloaded(server, since):
    """A new backend comes from the postmaster, so it tells when the postmaster read its files."""
    until = time.monotonic() + 10
    while query(server, "select pg_conf_load_time()")[0][0] <= since:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_server_without_tls_is_told(server, ctx):
    with pytest.raises(Unreachable, match="does not offer TLS"), connection(server, tls="verify-full").open(ctx):
        pass
