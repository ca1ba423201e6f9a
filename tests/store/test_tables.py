"""What the tables themselves see to: their shape, rows that only their tenant sees, history that stays as it was."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

from sluicegate.store.tables import APPEND_ONLY, metadata
from tests.store.rows import fill

TENANT_TABLES = sorted(t.name for t in metadata.sorted_tables if "tenant_id" in t.c)


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


# --- PostgreSQL: who may connect, and what a row-level policy leaves to be seen


only_postgres = pytest.mark.parametrize("place", ["postgres"], indirect=True)  # row-level security is its own


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
@only_postgres
def test_raw_sql_sees_nothing_without_a_tenant_and_only_its_rows_with_one(place, database, ours, theirs, system):
    for scope in (ours, theirs):
        fill(scope, system)
    with psycopg.connect(place.url) as raw:
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
@only_postgres
def test_the_owner_is_held_to_the_policies_as_well(place, ours, system):
    fill(ours, system)
    with psycopg.connect(place.owner_url) as raw:
        for table in metadata.tables:
            assert raw.execute(f"select count(*) from {table}").fetchone() == (0,), table


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
@only_postgres
def test_raw_sql_cannot_write_for_another_tenant(place, ours, theirs, system):
    fill(theirs, system)
    with psycopg.connect(place.url, autocommit=True) as raw:
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
@only_postgres
def test_the_application_cannot_lift_its_own_locks(place, database):
    with psycopg.connect(place.url, autocommit=True) as raw:
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
