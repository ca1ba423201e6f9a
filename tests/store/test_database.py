"""Opening, sharing, migrating and guarding the store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sluicegate.base.errors import Conflict, Invalid, Missing, SluiceError, Unavailable
from sluicegate.store import database as module
from sluicegate.store.database import REVISIONS, Database
from sluicegate.store.tables import APPEND_ONLY, metadata
from sqlalchemy import exc, text

from tests.store.conftest import empty_postgres
from tests.store.rows import fill

TENANT_TABLES = sorted(t.name for t in metadata.sorted_tables if "tenant_id" in t.c)


def mode(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


@pytest.fixture
def opened(empty):
    made = []

    def open_(**options):
        made.append(Database(options.get("url", empty.url), options.get("owner_url", empty.owner_url)))
        return made[-1]

    yield open_
    for each in made:
        each.close()


# --- SQLite's file


@pytest.mark.security
def test_file_and_journals_are_this_users_alone(tmp_path):
    path = f"{tmp_path}/deep/store.db"
    before = os.umask(0)
    try:
        store = Database(f"sqlite:///{path}")
        store.migrate()
    finally:
        os.umask(before)
    assert [mode(path + end) for end in ("", "-wal", "-shm")] == [0o600] * 3
    assert mode(os.path.dirname(path)) == 0o700  # noqa: PTH120 - text here
    store.close()


@pytest.mark.security
def test_a_file_left_open_to_others_is_closed_to_them(tmp_path):
    path = tmp_path / "store.db"
    path.touch(0o666)
    path.chmod(0o666)
    Database(f"sqlite:///{path}").close()
    assert mode(str(path)) == 0o600


def test_sqlite_is_set_up_for_many_threads(tmp_path):
    store = Database(f"sqlite:///{tmp_path}/store.db")
    with store.write() as connection:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked] == ["wal", 1, 1, 10000]
    store.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://root:hunter2@h/db", "hunter2", "oracle://h"])
@pytest.mark.security
def test_other_databases_are_refused_without_showing_the_url(url):
    with pytest.raises(Invalid) as told:
        Database(url)
    assert "hunter2" not in str(told.value)


# --- transactions


def names(connection):
    return connection.execute(text("SELECT name FROM tenants ORDER BY name")).scalars().all()


def add(connection, name):
    connection.execute(text(f"INSERT INTO tenants VALUES ('{name}', '{name}', 'active', 0, 0)"))


@pytest.mark.security
def test_readers_cannot_write(database):
    with pytest.raises((SluiceError, exc.DBAPIError)), database.read(system=True) as connection:
        add(connection, "x")
    with database.read(system=True) as connection:
        assert names(connection) == []


def test_a_write_is_all_or_nothing(database):
    with pytest.raises(RuntimeError), database.write(system=True) as connection:
        add(connection, "x")
        raise RuntimeError
    with database.read(system=True) as connection:
        assert names(connection) == []


def test_nested_writes_share_one_transaction_and_fail_alone(database):
    def inner(name, fail):
        with database.write(system=True) as connection:
            add(connection, name)
            if fail:
                raise RuntimeError

    with database.write(system=True) as outer:
        inner("kept", fail=False)
        with pytest.raises(RuntimeError):
            inner("lost", fail=True)
        with pytest.raises(Conflict):
            inner("kept", fail=False)
        with database.read(system=True) as connection:
            assert names(connection) == ["kept"]  # a reader inside sees what was written
        add(outer, "last")
    with database.read(system=True) as connection:
        assert names(connection) == ["kept", "last"]


def test_other_threads_do_not_join_a_transaction(database):
    seen = []

    def look():
        with database.read(system=True) as connection:
            seen.append(names(connection))

    with database.write(system=True) as connection:
        add(connection, "x")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [[]]


@pytest.mark.security
def test_errors_do_not_carry_values(database):
    row = {"k": "canary-7f3a", "v": b"canary-7f3a"}
    with pytest.raises(Conflict) as told, database.write(system=True) as connection:
        connection.execute(text("INSERT INTO blobs VALUES (:k, :v)"), [row, row])
    assert "canary" not in repr(told.value) + str(told.value)
    assert told.value.__suppress_context__
    with pytest.raises(exc.DBAPIError) as raw, database._backend.writer.begin() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:k, :v)"), row)
    assert "canary" not in str(raw.value)


def test_text_that_cannot_be_stored_is_told(ours, place):
    if place.kind == "sqlite":
        assert ours.definitions().put("flow", "a\0b", {}, "", "d") == (1, True)  # SQLite can
        return
    with pytest.raises((Invalid, Conflict)):
        ours.definitions().put("flow", "a\0b", {}, "", "d")


def test_a_writer_that_waits_too_long_is_told(place, monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.2)
    first, second = Database(place.url), Database(place.url)
    with first.write(system=True) as connection:
        add(connection, "x")
        if place.kind == "sqlite":  # another process has the file
            with pytest.raises(Unavailable), second.write(system=True):
                pass
    first.close()
    second.close()


def test_a_server_that_is_gone_is_unavailable(roles):
    gone = roles.as_user("sluice_app", "app-pw")
    store = Database(gone.url.replace(f":{gone.port}/", ":1/"))
    with pytest.raises(Unavailable) as told, store.read():
        pass
    assert "app-pw" not in str(told.value)
    store.close()


def test_many_threads_read_and_write(database, ours):
    ours.definitions().put("flow", "f", {"a": 1}, "a: 1", "d0")
    faults = []

    def work(number):
        try:
            for turn in range(5):
                ours.definitions().put("flow", f"f{number}", {"turn": turn}, "", f"d{turn}")
                assert ours.definitions().get("flow", "f").body == {"a": 1}
        except Exception as fault:  # noqa: BLE001 - told below
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {brief.version for brief in ours.definitions().list("flow") if brief.name != "f"} == {5}


# --- migrations


def tables_of(place):
    with place.raw() as raw:
        asked = (
            "select name from sqlite_master where type = 'table'"
            if place.kind == "sqlite"
            else "select tablename from pg_tables where schemaname = 'public'"
        )
        return {row[0] for row in raw.execute(asked).fetchall()} - {"alembic_version"}


def test_up_down_up(opened, empty):
    store = opened()
    store.migrate()
    assert tables_of(empty) == set(metadata.tables)
    store.move("downgrade", "base")
    assert tables_of(empty) == set()
    store.migrate()
    assert tables_of(empty) == set(metadata.tables)
    with store.write(system=True) as connection:
        add(connection, "x")


@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_migrations_lead_to_the_tables_of_the_code(opened):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    store = opened()
    store.migrate()
    with store._backend.owner() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
        # The one index on an expression can't be compared; each of its tests is in test_people.
        assert [diff for diff in found if "uq_users_tenant_email" not in str(diff)] == []


def test_every_migration_is_listed():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "sluicegate.store:migrations")
    config.set_main_option("path_separator", "os")
    walked = [revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS


@pytest.mark.security
@pytest.mark.req("SEC-C12")
def test_a_newer_database_is_refused_and_left_alone(place, database):
    with place.raw() as raw:
        raw.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(Conflict, match=r"9999.*newer"):
        database.migrate()
    with place.raw() as raw:
        assert raw.execute("select version_num from alembic_version").fetchone()[0] == "9999"


def test_two_nodes_that_start_together_migrate_once(opened):
    nodes, faults = [opened() for _ in range(4)], []

    def start(node):
        try:
            node.migrate()
        except SluiceError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=start, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with nodes[0].read(system=True) as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1


def test_a_store_that_is_up_to_date_loads_no_alembic(place):
    code = (
        "import sys; import sluicegate.store; assert 'sqlalchemy' not in sys.modules\n"
        "from sluicegate.store.database import Database\n"
        f"d = Database({place.url!r}); d.migrate(); d.close()\n"
        "assert 'sqlalchemy' in sys.modules; assert 'alembic' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- PostgreSQL: who may connect, and what a row-level policy leaves to be seen


@pytest.fixture
def only_postgres(place):
    if place.kind != "postgres":
        pytest.skip("row-level security is PostgreSQL's")
    return place


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
def test_a_role_that_row_level_security_does_not_hold_is_refused(only_postgres):
    server = only_postgres.server
    for url, why in ((server.url, "superuser"), (only_postgres.owner_url, "owns the tables")):
        store = Database(url)
        with pytest.raises(Invalid, match=why), store.read():
            pass
        store.close()


@pytest.mark.security
def test_the_application_is_not_its_own_owner(roles):
    place = empty_postgres(roles)
    store = Database(place.owner_url, place.owner_url)
    with pytest.raises(Invalid, match="owns the tables"):
        store.migrate()
    store.close()
    store = Database(place.url)
    with pytest.raises(Invalid, match="only their owner"):
        store.migrate()
    store.close()
    assert tables_of(place) == set()
    place.server.drop()


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
def test_raw_sql_sees_nothing_without_a_tenant_and_only_its_rows_with_one(only_postgres, database, ours, theirs, system):
    import psycopg

    for scope in (ours, theirs):
        fill(scope, system)
    with psycopg.connect(only_postgres.url) as raw:
        for table in metadata.tables:
            assert raw.execute(f"select count(*) from {table}").fetchone() == (0,), table
        raw.execute("select set_config('app.tenant', %s, true)", [ours.tenant])
        for table in TENANT_TABLES:
            seen = {row[0] for row in raw.execute(f"select tenant_id from {table}").fetchall()}
            assert seen == {ours.tenant}, table
        assert raw.execute("select id from tenants").fetchall() == [(ours.tenant,)]
        for table in ("blobs", "marks", "workers"):
            assert raw.execute(f"select count(*) from {table}").fetchone() == (0,), table
        raw.commit()  # the setting ends with the transaction, and reads as '': the system's ledger stays hidden
        for table in metadata.tables:
            assert raw.execute(f"select count(*) from {table}").fetchone() == (0,), table


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
def test_raw_sql_cannot_write_for_another_tenant(only_postgres, ours, theirs, system):
    import psycopg

    fill(theirs, system)
    with psycopg.connect(only_postgres.url, autocommit=True) as raw:
        for sql in (
            "insert into snapshots values (%(them)s, 'f', 's', '{}', 0)",
            "insert into audit values (%(them)s, 99, 0, '', '', '{}', '')",
            "insert into audit values ('', 99, 0, '', '', '{}', '')",
            "insert into tenants values ('x', 'x', 'active', 0, 0)",
            "insert into marks values (99, 'all', '', 99, 0)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), raw.transaction():
                raw.execute("select set_config('app.tenant', %s, true)", [ours.tenant])
                raw.execute(sql, {"them": theirs.tenant})
        with raw.transaction():
            raw.execute("select set_config('app.tenant', %s, true)", [ours.tenant])
            for sql in ("update secrets set version = 99", "delete from secrets", "update users set role = 'editor'"):
                assert raw.execute(sql).rowcount == 0
            raw.execute("insert into snapshots values (%s, 'f', 's', '{}', 0)", [ours.tenant])
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                raw.execute("update snapshots set tenant_id = %s", [theirs.tenant])


@pytest.mark.security
def test_the_application_cannot_lift_its_own_locks(only_postgres, database):
    import psycopg

    with psycopg.connect(only_postgres.url, autocommit=True) as raw:
        for sql in (
            "alter table audit disable trigger all",
            "alter table secrets disable row level security",
            "drop policy secrets_tenant on secrets",
            "drop table audit",
            "truncate audit",
            "create table mine (a int)",
            "set role sluice_owner",
            "set session_replication_role = replica",
            *(f"update {table} set tenant_id = ''" for table in APPEND_ONLY),
            *(f"delete from {table}" for table in APPEND_ONLY),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                raw.execute(sql)


# --- history


@pytest.mark.security
@pytest.mark.req("SEC-L01")
@pytest.mark.parametrize("table", sorted(APPEND_ONLY))
def test_history_is_not_changed_even_with_the_rights_of_the_owner(place, ours, system, table):
    import sqlite3

    import psycopg

    fill(ours, system)
    orders = [f"update {table} set tenant_id = tenant_id"]
    if table == "audit":
        orders.append("delete from audit")
        if place.kind == "sqlite":
            orders.append("insert or replace into audit select * from audit")
            orders.append("update or replace audit set seq = seq")
    if place.kind == "postgres":
        orders.append(f"truncate {table} cascade")
    with place.raw() as raw:
        before = raw.execute(f"select * from {table}").fetchall()
        for order in orders:
            with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RestrictViolation), match="append-only"):
                raw.execute(order)
        assert before
        assert raw.execute(f"select * from {table}").fetchall() == before


def test_events_go_with_their_run(place, ours, system):
    run, _ = fill(ours, system)
    with place.raw() as raw:
        if place.kind == "sqlite":
            raw.execute("pragma foreign_keys = on")
        raw.execute(f"delete from runs where id = '{run}'")
        assert raw.execute("select count(*) from run_events").fetchone() == (0,)
