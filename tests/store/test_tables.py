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


UNLOCKED = {"alembic_version"}
"""Tables without the second lock: the number of the newest migration is nobody's, and the application only reads it."""


def unlocked(raw):
    """Walk all that the database holds; return what row-level security does not keep as it should, with the reason."""
    found = {}
    tables = raw.execute(
        "select c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relkind, pg_get_userbyid(c.relowner)"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'"
        " and c.relkind in ('r', 'p', 'v', 'm', 'f')"
    ).fetchall()
    for oid, name, on, forced, kind, owner in tables:
        policies = dict(
            raw.execute(
                "select polname, pg_get_expr(polqual, polrelid) from pg_policy where polrelid = %s and polpermissive",
                [oid],
            ).fetchall()
        )
        columns = {row[0] for row in raw.execute("select attname from pg_attribute where attrelid = %s", [oid])}
        wanted = {f"{name}_system"} | ({f"{name}_tenant"} if "tenant_id" in columns else set())
        free = [each for each, rule in policies.items() if "app.tenant" not in rule and "app.system" not in rule]
        why = (
            "is no table" if kind not in "rp"
            else "is off" if not on
            else "does not hold the owner" if not forced
            else f"lacks {sorted(wanted - set(policies))}" if wanted - set(policies)
            else f"asks for nobody in {free}" if free
            else "belongs to the application" if owner == "sluice_app"
            else ""
        )  # fmt: skip
        if why:
            found[name] = why
    return found


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
@only_postgres
def test_every_table_has_the_second_lock_and_a_new_one_without_is_found(place, database):
    with place.raw() as raw:
        assert set(unlocked(raw)) == UNLOCKED
        for number, order in enumerate(
            (
                "create table bare (tenant_id text)",
                "create view seen as select * from secrets",
                "alter table runs disable row level security",
                "alter table secrets no force row level security",
                "drop policy users_tenant on users",
                "drop policy grants_system on grants; create policy grants_system on grants using (true)",
                "alter table support owner to sluice_app",
            ),
            1,
        ):
            raw.execute(order)
            assert len(set(unlocked(raw)) - UNLOCKED) == number, order


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
@only_postgres
def test_without_the_lock_the_tests_above_see_the_rows(place, database, ours, theirs, system):
    """The zeroes there are the lock's doing, not those of an empty table."""
    for scope in (ours, theirs):
        fill(scope, system)
    with place.raw() as lock, psycopg.connect(place.url, autocommit=True) as raw:
        for table in sorted(metadata.tables):
            assert raw.execute(f"select count(*) from {table}").fetchone() == (0,), table
            lock.execute(f"alter table {table} disable row level security")
            assert raw.execute(f"select count(*) from {table}").fetchone() > (0,), table


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
