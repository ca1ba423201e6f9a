from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager

import pytest
import trustme

from sluicegate.base.errors import Failed, SignInRefused, SluiceError, Unreachable
from sluicegate.conformance.connection import CANARY, chain
from sluicegate.conformance.samples import table
from sluicegate.connectors.mysql import Mysql
from sluicegate.connectors.mysql.link import connect
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker
from tests.connectors.store import connection, context, load, read, store, store_ctx
from tests.fixtures.mariadb import mariadb

__all__ = ["mariadb", "store", "store_ctx"]

_OK = b"\0\0\0\x02\0\0\0"
_FLAGS = 0x0088_F7DF | (1 << 19) | (1 << 7)
"""What a server says it can: 4.1 protocol, plugins, LOCAL FILES; no TLS."""


def greeting(plugin=b"mysql_native_password", version=b"8.0.36", flags=_FLAGS):
    head = b"\x0a" + version + b"\0" + struct.pack("<I", 7) + b"12345678\0" + struct.pack("<H", flags & 0xFFFF)
    return head + struct.pack("<BHHB", 45, 2, flags >> 16, 21) + b"\0" * 10 + b"abcdefghijkl\0" + plugin + b"\0"


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def heard(sock):
    """Return number and payload of the client's next packet."""
    head = b""
    while len(head) < 4:
        part = sock.recv(4 - len(head))
        if not part:
            raise ConnectionError
        head += part
    size, body = int.from_bytes(head[:3], "little"), b""
    while len(body) < size:
        body += sock.recv(size - len(body))
    return head[3], body


@contextmanager
def stand_in(talk):
    """Give the port of a server that does what ``talk`` does, and all that it hears."""
    door, said = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        try:
            while True:
                sock, _ = door.accept()
                with sock:
                    sock.settimeout(5)
                    try:
                        talk(sock, said)
                    except OSError:
                        continue
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield door.getsockname()[1], said
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join(5)


def hostile(port, **more):
    given = {"host": "127.0.0.1", "port": port, "database": "d", "user": "u", "password": {"secret": "pw"}}
    return Mysql(name="x", **{"tls": "disable", **given, **more})


@pytest.fixture
def ctx(tmp_path):
    with Root(tmp_path) as root:
        yield context(root, CANARY)


@pytest.mark.security
@pytest.mark.req("SEC-E07")
@pytest.mark.parametrize("when", ["sign-in", "query", "load"])
def test_no_file_is_given_to_a_server_that_asks(ctx, tmp_path, when):
    """A server may answer any statement with "send me that file" (CVE-2018-1000525 and its kin)."""
    secret = tmp_path / "secret"
    secret.write_text("canary of a file")
    ask = b"\xfb" + str(secret).encode()

    def talk(sock, said):
        sock.sendall(packet(0, greeting()))
        number, body = heard(sock)
        said.append(body)
        sock.sendall(packet(number + 1, _OK))
        while True:
            number, body = heard(sock)
            said.append(body)
            if when == "sign-in" or (when == "load" and b"load data" in body):
                sock.sendall(packet(number + 1, ask))
                said.append(heard(sock)[1])
                return
            if b"@@session.sql_mode" in body and when == "query":
                sock.sendall(packet(number + 1, ask))
            else:
                sock.sendall(packet(number + 1, _OK))

    with stand_in(talk) as (port, said), pytest.raises(SluiceError) as caught:
        if when == "load":
            pretend(hostile(port), ctx)
        else:
            with hostile(port).open(ctx) as session:
                session.test()
    assert b"canary of a file" not in b"".join(said)
    assert CANARY not in chain(caught.value)
    if when == "load":
        assert "asks for a file" in str(caught.value)


def pretend(target, ctx):
    """Send rows to a server that passes for a strict one."""
    from sluicegate.connectors.mysql import link as module

    before = module._verify
    module._verify = lambda *_: None
    try:
        link = connect(target, ctx)
        link.load("load data local infile 'ours' into table t", "ours", memoryview(b"1\n"))
    finally:
        module._verify = before


@pytest.mark.security
@pytest.mark.req("SEC-N03")
@pytest.mark.parametrize("tls", ["disable", "require"])
@pytest.mark.parametrize(
    "plugin", [b"mysql_clear_password", b"sha256_password", b"dialog", b"mysql_old_password", b"caching_sha2_password"]
)
@pytest.mark.parametrize("first", [True, False], ids=["greeting", "switch"])
def test_password_is_not_given_to_an_unproven_server(ctx, tmp_path, plugin, tls, first):
    """Neither in clear nor under a key that the server has just handed over, also inside TLS that anybody can offer."""
    made = trustme.CA().issue_cert("127.0.0.1")
    made.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "pem"))

    def talk(sock, said):
        import ssl

        sock.sendall(packet(0, greeting(plugin if first else b"mysql_native_password", flags=_FLAGS | 1 << 11)))
        number, body = heard(sock)
        if tls == "require":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tmp_path / "pem")
            sock = context.wrap_socket(sock, server_side=True)
            number, body = heard(sock)
        with sock:
            said.append(body)
            ask = b"\xfe" + plugin + b"\0" + (b"\x04Password: " if plugin == b"dialog" else b"12345678901234567890\0")
            if not first or plugin != b"caching_sha2_password":
                sock.sendall(packet(number + 1, ask))
                number, body = heard(sock)
                said.append(body)
            sock.sendall(packet(number + 1, b"\x01\x04"))  # "do it in full"
            said.append(heard(sock)[1])

    unproven = pytest.raises(SignInRefused, match="has not proved who it is")
    with stand_in(talk) as (port, said), unproven as caught, hostile(port, tls=tls).open(ctx):
        pass
    assert said
    assert CANARY.encode() not in b"".join(said)
    assert CANARY not in chain(caught.value)


@pytest.mark.security
@pytest.mark.req("SEC-N03")
@pytest.mark.parametrize("tls", ["verify-full", "verify-ca", "require"])
def test_server_without_tls_gets_nothing(ctx, tls):
    """A man in the middle takes the offer of TLS out of the greeting."""

    def talk(sock, said):
        sock.sendall(packet(0, greeting()))
        said.append(heard(sock)[1])

    without = pytest.raises(Unreachable, match="does not offer TLS")
    with stand_in(talk) as (port, said), without, hostile(port, tls=tls).open(ctx):
        pass
    assert said == []


@pytest.mark.security
@pytest.mark.parametrize(
    "answer",
    [b"", b"\0" * 4, b"HTTP/1.1 400 no\r\n\r\n", packet(0, b""), packet(0, b"\x0a"), packet(0, greeting(version=b"x")),
     packet(0, b"\xff\x15\x04too many"), packet(3, greeting()), packet(0, greeting()[:30]), b"\xff\xff\xff\0x"],
)  # fmt: skip
def test_what_does_not_speak_the_protocol_is_told(ctx, answer):
    def talk(sock, said):
        sock.sendall(answer)
        sock.shutdown(socket.SHUT_WR)
        said.append(sock.recv(1000))

    with stand_in(talk) as (port, _), pytest.raises(SluiceError) as caught, hostile(port).open(ctx):
        pass
    assert str(port) in str(caught.value)
    assert CANARY not in chain(caught.value)


@pytest.mark.security
def test_server_that_is_not_strict_is_refused(ctx, store, store_ctx, monkeypatch):
    from sluicegate.connectors.mysql import link as module

    for name, value in (("sql_mode", "ANSI"), ("time_zone", "+01:00")):
        monkeypatch.setitem(module._SETTINGS, name, value)
        with pytest.raises(Failed, match="strict settings"), connection(store).open(store_ctx):
            pass
        monkeypatch.undo()


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_certificate_is_verified_for_the_name(store, store_ctx):
    own = Net(Egress.local(), lambda _name: ["127.0.0.1"])
    away = Context(net=own, files=store_ctx.files, secrets=store_ctx.secrets)
    strangers = trustme.CA().cert_pem.bytes().decode()
    for host, more, told in (
        ("localhost", {"ca": store.ca}, None), ("127.0.0.1", {"ca": store.ca}, None),
        ("db.example.test", {"ca": store.ca}, "is for another host"),
        ("db.example.test", {"ca": store.ca, "tls": "verify-ca"}, None),
        ("localhost", {"ca": strangers}, "unknown CA"), ("localhost", {}, "unknown CA"),
        ("localhost", {"ca": strangers, "tls": "verify-ca"}, "unknown CA"),
        ("db.example.test", {"tls": "require"}, None), ("localhost", {"ca": "no PEM"}, "not a certificate"),
    ):  # fmt: skip
        target = connection(store, **{"host": host, "tls": "verify-full", **more})
        if told:
            with pytest.raises(SluiceError, match=told), target.open(away):
                pass
        else:
            with target.open(away) as session:
                assert session._links[0].rows("show status like 'Ssl_version'")[0][1].startswith(b"TLSv1.")


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_wrong_password_is_told_without_it(store, tmp_path):
    with Root(tmp_path) as root, pytest.raises(SignInRefused) as caught, connection(store).open(context(root, CANARY)):
        pass
    assert "'admin' or its password" in str(caught.value)
    assert CANARY not in chain(caught.value)


def test_unknown_database_and_unset_secret_are_told(store, store_ctx):
    with pytest.raises(Failed, match="no database 'gone'"), connection(store, database="gone").open(store_ctx):
        pass
    bare = Context(net=store_ctx.net, files=store_ctx.files)
    with pytest.raises(Failed, match="'pw' is not set"), connection(store).open(bare):
        pass


@pytest.mark.security
@pytest.mark.req("SEC-E07")
def test_option_files_and_environment_are_not_heeded(store, store_ctx, tmp_path, monkeypatch):
    (tmp_path / ".my.cnf").write_text("[client]\nhost=203.0.113.1\nuser=evil\nlocal-infile=1\n")
    for name, value in {
        "HOME": str(tmp_path),
        "MYSQL_HOST": "203.0.113.1",
        "MYSQL_PWD": "evil",
        "USER": "evil",
    }.items():
        monkeypatch.setenv(name, value)
    with connection(store).open(store_ctx) as session:
        assert "signed in as admin" in session.test()


@pytest.mark.security
@pytest.mark.req("SEC-E07")
@pytest.mark.parametrize(
    "item", ["t` union select 1 -- x", "mysql.user", "(select 1)", "t into outfile '/tmp/x'", "t;"]
)
def test_item_is_a_name_and_nothing_else(store, store_ctx, item):
    load(store, store_ctx, {"v": [1]}, item="t")
    with pytest.raises(SluiceError):
        read(store, store_ctx, item)
    load(store, store_ctx, {"v": [2]}, item=item, run="2")
    assert read(store, store_ctx, item).to_pydict() == {"v": [2]}
    assert store.execute("select v from t") == [(1,)]


@pytest.mark.security
def test_reading_cannot_write(store, store_ctx):
    store.execute(
        "create table t (v int)", "create function hit() returns int begin insert into t values (1); return 1; end",
        "create view bad as select hit() as v",
    )  # fmt: skip
    with pytest.raises(Failed, match="or writes"):
        read(store, store_ctx, "bad")
    assert store.execute("select * from t") == []


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_what_leads_elsewhere_clears_the_secret():
    assert {"host", "port", "database", "tls", "ca"} == Mysql.destination


@pytest.mark.security
def test_password_does_not_stay_in_memory_of_the_session(store, store_ctx):
    sent = table({"v": [1]})
    with connection(store).open(store_ctx) as session:
        with session.stage("t", sent.schema, Append(), Marker("r", "w")) as stage:
            stage.write(sent.to_batches()[0])
            stage.commit()
        session.read(Read(item="t")).read_all()
        assert [link.password for link in session._links] == [b"", b""]
