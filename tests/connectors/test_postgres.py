from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sluicegate.base.errors import Constraint, DataError, Failed, SluiceError, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.conformance.connection import CANARY, Given, NetworkSuite, chain
from sluicegate.conformance.rows import RowsSuite
from sluicegate.conformance.samples import table
from sluicegate.connectors.postgres import Postgres
from sluicegate.connectors.postgres.link import spell_item, split_item
from sluicegate.kit.connection import Read
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.rows import Marker
from tests.fixtures.postgres import start, stop


def connection(server, **more):
    given = {"host": server.host, "port": server.port, "database": server.dbname, "user": server.user, "tls": "disable"}
    return Postgres(name="warehouse", password={"secret": "pw"}, **given | more)


def context(root, password, net=None):
    return Context(net=net or Net(Egress.local()), files=root, secrets={"pw": Secret(password)})


@pytest.fixture
def server(postgres):
    database = postgres.fresh()
    yield database
    database.drop()


@pytest.fixture
def ctx(tmp_path, server):
    with Root(tmp_path) as root:
        yield context(root, server.password)


class TestPostgres(NetworkSuite, RowsSuite):
    changed = {
        "int8": "int16", "uint8": "int16", "uint16": "int32", "uint32": "int64", "uint64": "decimal(20,0)",
        'struct("a" int64, "b" text)': "json",
    }  # fmt: skip

    @pytest.fixture
    def given(self, server, ctx):
        return Given(connection(server), ctx, lambda name: spell_item(None, name))


def load(server, ctx, columns, mode=None, *, item="t", run="r"):
    found = columns if isinstance(columns, pa.Table) else table(columns)
    with connection(server).open(ctx) as session, session.stage(item, found.schema, mode or Append(), Marker(run, "w")) as stage:
        if stage.done:
            return stage.done
        for batch in found.to_batches():
            stage.write(batch)
        return stage.commit()


def read(server, ctx, item="t", **ask):
    with connection(server).open(ctx) as session:
        return session.read(Read(item=item, **ask)).read_all()


def query(server, sql):
    with psycopg.connect(server.url) as link:
        return link.execute(sql.encode()).fetchall()


ODD = {
    "numeric": "12345678901234567890.123456789", "inet": "10.0.0.1/8", "cidr": "10.0.0.0/8", "time with time zone": "10:00:00+02",
    "int4range": "[1,5)", "macaddr": "08:00:2b:01:02:03", "bit varying(5)": "10101", "xml": "<a/>",
    "money": "$1.50", "numeric(3,-2)": "12300", "numeric(2,4)": "0.0012",
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_types_without_counterpart_travel_as_their_own_text(server, ctx, kind):
    server.execute(f"create table t (v {kind})")
    server.execute(f"insert into t values ('{ODD[kind]}'), (null)")
    found = read(server, ctx)
    assert found.column("v").to_pylist() == [ODD[kind], None]
    load(server, ctx, found)
    load(server, ctx, found, item="made", run="2")
    assert query(server, "select count(*), count(distinct v::text) from t") == [(4, 1)]
    made = query(server, "select format_type(atttypid, -1) from pg_attribute where attrelid = 'made'::regclass and attnum = 1")
    assert made == [(kind.split("(")[0],)]


def test_catalogue_types(server, ctx):
    server.execute("create type mood as enum ('ok', 'bad'); ")
    server.execute("create domain small as numeric(5,2) check (value < 100)")
    server.execute("create type pair as (a int, b text)")
    server.execute(
        "create table t (a small, b mood, c pair, d numeric(12,2)[], e jsonb, f char(4), g varchar(3), h text[], i mood[], j "
        "numeric[], k float8, l timestamptz)"
    )
    server.execute(
        """insert into t values (1.5, 'ok', (1, 'x'), '{1.5,null}', '{"b": 1.50}', 'ab', 'abc', '{"",null,"a,b"}', '{ok}', """
        """'{1.123456789012345678901}', 'NaN', '2013-01-01 10:00+02')"""
    )
    found = read(server, ctx)
    assert found.to_pylist() == [
        {
            "a": Decimal("1.50"), "b": "ok", "c": '{"a":1,"b":"x"}', "d": [Decimal("1.50"), None], "e": '{"b": 1.50}',
            "f": "ab  ", "g": "abc", "h": ["", None, "a,b"], "i": '["ok"]', "j": "[1.123456789012345678901]",
            "k": pytest.approx(float("nan"), nan_ok=True), "l": dt.datetime(2013, 1, 1, 8, tzinfo=dt.UTC),
        }
    ]  # fmt: skip
    load(server, ctx, found.drop_columns(["c"]), Replace(), item="copy")
    assert query(server, "select e::text, h[1] = '' from copy") == [('{"b": 1.50}', True)]


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("date", "infinity", "'infinity' cannot be carried as date"),
        ("timestamp", "-infinity", "'-infinity' cannot be carried as timestamp"),
        ("timestamptz", "infinity", "cannot be carried as timestamptz"),
        ("date", "0044-03-15 BC", "cannot be carried as date"),
        ("numeric(12,2)", "NaN", "'NaN' cannot be carried as decimal(12,2)"),
        ("time", "24:00:00", "'24:00:00' cannot be carried as time"),
        ("date[]", "{infinity}", "'infinity' is not a date32"),
        ("int[]", "{{1,2},{3,4}}", "is not a whole number"),
    ],
)
def test_value_that_cannot_be_carried_is_named(server, ctx, kind, value, told):
    server.execute(f"create table t (k int, v {kind})")
    server.execute(f"insert into t values (1, null), (2, '{value}')")
    with pytest.raises(DataError) as caught:
        read(server, ctx)
    assert told in str(caught.value)
    assert "column v, row 2" in str(caught.value)


def test_reading_sees_one_moment(server, ctx):
    server.execute("create table t as select v, repeat('x', 100) as w from generate_series(1, 50000) v")
    with connection(server).open(ctx) as session:
        rows = session.read(Read(item="t"))
        first = rows.read_next_batch()
        server.execute("delete from t")
        assert first.num_rows + sum(batch.num_rows for batch in rows) == 50_000


@pytest.mark.parametrize(
    ("kind", "column", "told"),
    [
        ("smallint", pa.array([1, 70000]), "'70000' does not fit int16"),
        ("numeric(5,2)", pa.array([Decimal("1.5"), Decimal("1.005")], pa.decimal128(9, 3)), "does not fit decimal(5,2)"),
        ("numeric(3,0)", pa.array([1, 1000]), "does not fit decimal(3,0)"),
        ("timestamp(0)", pa.array([dt.datetime(2013, 1, 1), dt.datetime(2013, 1, 1, 0, 0, 0, 5)]), "more places"),
        ("interval", pa.array([None, pa.MonthDayNano((0, 0, 5))]), "more places than microseconds"),
    ],
)
def test_server_never_rounds_in_silence(server, ctx, kind, column, told):
    server.execute(f"create table t (v {kind})")
    with pytest.raises(DataError) as caught:
        load(server, ctx, {"v": column})
    assert told in str(caught.value)
    assert "column v, row 2" in str(caught.value)
    load(server, ctx, {"v": column.slice(0, 1)})
    assert query(server, "select count(*) from t") == [(1,)]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("integer", pa.array(["0012"])), ("text", pa.array([1])), ("double precision", pa.array([1])),
        ("timestamptz", pa.array([dt.datetime(2013, 1, 1)])), ("numeric(50,2)", pa.array([Decimal("1.005")])),
        ("boolean", pa.array(["true"])), ("interval year to month", pa.array([pa.MonthDayNano((1, 0, 0))])),
    ],
)  # fmt: skip
def test_unlike_types_are_refused(server, ctx, kind, column):
    server.execute(f"create table t (v {kind})")
    with pytest.raises(DataError, match="column v.*unchanged"):
        load(server, ctx, {"v": column})


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [("varchar(3)", "long", "too long"), ("text", "a\0b", "NUL"), ("inet", "nowhere", "no value")],
)
def test_text_the_server_refuses(server, ctx, kind, value, told):
    server.execute(f"create table t (v {kind})")
    with pytest.raises(DataError, match=told):
        load(server, ctx, {"v": ["10.0.0.1" if kind == "inet" else "ok", value]})
    assert query(server, "select count(*) from t") == [(0,)]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("create table t (v int constraint small check (v < 10))", "check constraint 'small' of table 't'"),
        ("create table t (v int constraint one unique)", "unique constraint 'one' of table 't'"),
        ("create table t (v int, w int default 0, constraint w_set check (v < 10 or w > 0))", "'w_set'"),
        ("create table t (v int references p)", "foreign key constraint 't_v_fkey'"),
        ("create table t (v int not null check (v < 10))", "'t_v_check'"),
    ],
)
def test_constraint_is_named_and_the_target_unchanged(server, ctx, made, told):
    server.execute("create table p (id int primary key)")
    server.execute(made)
    for run, mode in (("1", Append()), ("2", Replace())):
        with pytest.raises(Constraint) as caught:
            load(server, ctx, {"v": [987654, 987654]}, mode, run=run)
        assert told in str(caught.value)
        assert "987654" not in str(caught.value)
    assert query(server, "select count(*) from t") == [(0,)]


def test_not_null_names_the_column(server, ctx):
    server.execute("create table t (v int not null)")
    with pytest.raises(Constraint, match=r"NOT NULL.*'t'") as caught:
        load(server, ctx, {"v": pa.array([1, None], pa.int64())})
    assert "column v" in str(caught.value)


def test_replace_keeps_the_table_itself(server, ctx):
    server.execute("create table t (v bigint constraint one unique)")
    server.execute("create view seen as select * from t")
    load(server, ctx, {"v": [1]}, run="1")
    oid = query(server, "select 't'::regclass::oid")
    load(server, ctx, {"v": [2]}, Replace(), run="2")
    assert query(server, "select * from seen") == [(2,)]
    assert query(server, "select 't'::regclass::oid") == oid
    with pytest.raises(Failed, match="depend"):
        load(server, ctx, {"w": [2]}, Replace(), run="3")
    assert query(server, "select * from seen") == [(2,)]


def test_replace_of_a_table_that_others_refer_to(server, ctx):
    server.execute("create table p (id bigint primary key)")
    server.execute("insert into p values (1)")
    server.execute("create table c (id bigint references p deferrable initially deferred)")
    server.execute("insert into c values (1)")
    load(server, ctx, {"id": [1, 2]}, Replace(), item="p")
    assert query(server, "select count(*) from p") == [(2,)]


def test_merge_finds_a_unique_index(server, ctx):
    server.execute("create table t (a int, b int, v text)")
    server.execute("create unique index on t (a, b) where v is not null")
    server.execute("create unique index on t (a, lower(v))")
    mode = Merge(keys=("b", "a"))
    with pytest.raises(Failed, match="unique index on b, a"):
        load(server, ctx, {"a": [1], "b": [1], "v": ["x"]}, mode)
    server.execute("create unique index on t (a, b) include (v)")
    assert load(server, ctx, {"a": [1], "b": [1], "v": ["x"]}, mode).rows == 1


def test_schemas_are_respected(server, ctx):
    server.execute('create schema "my.own"')
    load(server, ctx, {"a": [1]}, item='"my.own"."t.x"')
    assert read(server, ctx, '"my.own"."t.x"').to_pydict() == {"a": [1]}
    with connection(server).open(ctx) as session:
        assert [entry.name for entry in session.items()] == ['"my.own"."t.x"']
    with pytest.raises(Failed, match="no such schema"):
        load(server, ctx, {"a": [1]}, item="gone.t")


def test_identity_default_and_generated_columns_may_be_left_out(server, ctx):
    server.execute(
        "create table t (id int generated always as identity, v int, w int generated always as (v * 2) stored, d text default 'x')"
    )
    load(server, ctx, {"v": [5]})
    assert query(server, "select * from t") == [(1, 5, 10, "x")]
    with pytest.raises(DataError, match="computes this column"):
        load(server, ctx, {"v": [5], "w": [1]}, run="2")


def test_rights_are_told(server, ctx):
    server.execute("create table t (v bigint)")
    server.execute("create role visitor login password 'pw-visitor'")
    visitor = server.as_user("visitor", "pw-visitor")
    try:
        mine = context(ctx.files, "pw-visitor")
        for attempt in (lambda: read(visitor, mine), lambda: load(visitor, mine, {"v": [1]})):
            with pytest.raises(Failed, match="no right"):
                attempt()
    finally:
        server.execute("drop role visitor")


def test_connection_that_breaks_is_told_and_lands_nothing(server, ctx):
    sent = table({"v": list(range(1000))})
    with connection(server).open(ctx) as session:
        stage = session.stage("t", sent.schema, Append(), Marker("r", "w"))
        stage.write(sent.to_batches()[0])
        server.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sluicegate'")
        with pytest.raises(Unreachable):
            stage.commit()
    assert query(server, "select to_regclass('t')") == [(None,)]
    assert load(server, ctx, sent).rows == 1000


def test_two_attempts_of_one_run_land_once(server, ctx):
    import threading

    sent = table({"v": [1, 2]})
    found = []
    with connection(server).open(ctx) as session:
        stage = session.stage("t", sent.schema, Append(), Marker("r", "w"))
        other = threading.Thread(target=lambda: found.append(load(server, ctx, sent)))
        other.start()
        stage.write(sent.to_batches()[0])
        other.join(0.3)
        assert found == []
        stage.commit()
        other.join(10)
    assert [receipt.repeated for receipt in found] == [True]
    assert query(server, "select count(*) from t") == [(2,)]


@pytest.mark.parametrize(
    ("item", "found"),
    [("t", (None, "t")), ("s.t", ("s", "t")), ('"s.x"."t""y"', ("s.x", 't"y')), ('s."t.u"', ("s", "t.u")), ('a"b', (None, 'a"b'))],
)
def test_item_names(item, found):
    assert split_item(item) == found
    assert split_item(spell_item(*found)) == found


@pytest.mark.parametrize("item", ["a.b.c", '"a', '"a"b', "", ".", "s.", '""', "x" * 64, "é" * 32])
def test_item_names_that_are_none(item):
    with pytest.raises(SluiceError):
        split_item(item)


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_wrong_password_is_told_without_it(server, tmp_path):
    with Root(tmp_path) as root, pytest.raises(Failed) as caught, connection(server).open(context(root, CANARY)):
        pass
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert "'admin' or its password" in str(caught.value)
    assert CANARY not in chain(caught.value)
    assert server.password not in chain(caught.value)


def test_unknown_database_is_told(server, ctx):
    with pytest.raises(Failed, match="no database 'gone'"), connection(server, database="gone").open(ctx):
        pass


def test_unset_secret_is_told(server, tmp_path):
    with Root(tmp_path) as root, pytest.raises(Failed, match="'pw' is not set"):
        with connection(server).open(Context(net=Net(Egress.local()), files=root)):
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
        "PGOPTIONS": "-c search_path=evil", "PGPASSFILE": str(passfile), "PGSSLMODE": "require", "PGPASSWORD": server.password,
        "PGAPPNAME": "evil", "PGDATABASE": "evil", "PGREQUIREAUTH": "none", "PGCONNECT_TIMEOUT": "1", "HOME": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with connection(server).open(ctx) as session:
        assert session.test()
        row = session._links[0].execute("select current_setting('search_path'), current_setting('application_name')").fetchone()
    assert row == ('"$user", public', "sluicegate")
    bare = connection(server).model_copy(update={"password": None})
    with pytest.raises(Failed), bare.open(ctx):
        pass  # neither PGPASSWORD nor the password file may stand in for the secret
    import os

    assert os.environ["PGSERVICE"] == "evil"


@pytest.mark.security
@pytest.mark.req("SEC-E07")
@pytest.mark.parametrize("item", ["t; copy t to program 'id'", "(select 1)", "pg_read_file('/etc/passwd')", "t to program 'id' --"])
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
    import socket
    import struct
    import threading

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
            name="x", host="127.0.0.1", port=listener.getsockname()[1], database="d", user="u", password={"secret": "pw"},
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
    import ipaddress

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
        server.execute("select pg_reload_conf()") if server else None

    server = None
    if __import__("os").geteuid() == 0:
        shutil.chown(folder, "postgres")
    present()
    server = start(folder, options=f"ssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n")
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
            wait_until_reloaded(server)
            with pytest.raises(Unreachable) as caught:
                attempt(server, root, tls="verify-full", ca=ca)
            assert reason in str(caught.value)
            assert f"127.0.0.1:{server.port}" in str(caught.value)
            assert server.password not in chain(caught.value)
            assert attempt(server, root, tls="require")[0] is True
        present(host="127.0.0.2")
        wait_until_reloaded(server)
        assert attempt(server, root, tls="verify-ca", ca=ca)[0] is True


def wait_until_reloaded(server):
    import time

    time.sleep(0.3)


def test_server_without_tls_is_told(server, ctx):
    with pytest.raises(Unreachable, match="does not offer TLS"), connection(server, tls="verify-full").open(ctx):
        pass
