"""Opening, sharing, migrating and guarding the store."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from sqlalchemy import exc, text

from sluicegate.base.errors import Conflict, Invalid, SluiceError
from sluicegate.store.database import REVISIONS, Database
from sluicegate.store.tables import metadata
from tests.store.rows import tables_of


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://root:hunter2@h/db", "hunter2", "oracle://h"]
)
@pytest.mark.security
def test_other_databases_are_refused_without_showing_the_url(url):
    with pytest.raises(Invalid) as told:
        Database(url)
    assert "hunter2" not in str(told.value)


# --- transactions


def names(connection):
    return connection.execute(text("SELECT name FROM tenants ORDER BY name")).scalars().all()


def add(connection, name):
    connection.execute(text(f"INSERT INTO tenants VALUES ('{name}', '{name}', 'active', 0, 0, '{{}}')"))


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


@pytest.mark.parametrize("place", ["postgres"], indirect=True)  # SQLite stores it
def test_text_that_cannot_be_stored_is_told(ours):
    with pytest.raises(Invalid):
        ours.definitions().put("flow", "a\0b", {}, "", "d")


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
