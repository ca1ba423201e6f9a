"""COPY in blocks: every row arrives whole and is counted, and a server that fails half-way is heard."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from sluicegate.base.errors import Cancelled, DataError
from sluicegate.connectors.postgres import copying
from sluicegate.connectors.postgres.copying import copy_out
from sluicegate.kit.rows import BATCH_BYTES

pytestmark = pytest.mark.slow


@pytest.fixture
def link(server):
    with psycopg.connect(server.url, autocommit=True) as made:
        yield made


def test_rows_come_whole_in_blocks_of_bounded_size(link, ctx):
    found = list(copy_out(link, "select n, repeat('x', 500) from generate_series(1, 9000) n", ctx, "here"))
    assert len(found) > 3
    assert max(each.nbytes for each in found) < BATCH_BYTES + 1000
    assert sum(each.num_rows for each in found) == 9000
    lines = b"".join(each.data for each in found).splitlines()
    assert [int(line.split(b",")[0]) for line in lines] == list(range(1, 9001))
    assert link.execute("select 1").fetchone() == (1,), "the connection is free again"


@pytest.mark.parametrize("rows", [0, 1, 70_000])
def test_the_binary_form_comes_without_header_and_trailer(link, ctx, rows):
    found = list(copy_out(link, f"select n::bigint from generate_series(1, {rows}) n", ctx, "here", binary=True))
    data = b"".join(each.data for each in found)
    assert len(data) == rows * 14, "two bytes for the number of fields, four for the length, eight of value"
    assert sum(each.num_rows for each in found) == rows
    with link.cursor() as cursor:
        cursor.execute("create temp table t (n bigint)")
        with cursor.copy("copy t from stdin (format binary)") as copy:
            copy.write(copying._HEADER + data + copying._TRAILER)
        assert cursor.execute("select count(*), coalesce(max(n), 0) from t").fetchone() == (rows, rows)


def test_a_fault_in_the_middle_is_an_error_and_no_end(link, ctx):
    query = "select 1 / (70000 - n) from generate_series(1, 80000) n"
    with pytest.raises(psycopg.errors.DivisionByZero):
        list(copy_out(link, query, ctx, "here"))
    assert link.execute("select 1").fetchone() == (1,)


def test_a_reader_that_leaves_early_frees_the_connection(link, ctx):
    rows = copy_out(link, "select repeat('x', 1000) from generate_series(1, 100000)", ctx, "here")
    next(rows)
    rows.close()
    assert link.execute("select 1").fetchone() == (1,)


def test_a_wait_can_be_cancelled(link, ctx):
    slow = "select repeat('x', 99), case when n > 3000 then pg_sleep(1)::text end from generate_series(1, 3030) n"
    with pytest.raises(Cancelled):
        list(copy_out(link, slow, replace(ctx, cancelled=lambda: True), "here"))
    assert link.execute("select 1").fetchone() == (1,)


@pytest.mark.security
def test_rows_that_are_missing_at_the_end_are_an_error(link, ctx, monkeypatch):
    def short(*given):
        yield [memoryview(b"1\n")]
        return 2

    monkeypatch.setattr(copying, "_messages", short)
    with pytest.raises(DataError, match="sent 2 rows and 1 arrived"):
        list(copy_out(link, "select 1", ctx, "here"))


@pytest.mark.security
def test_a_form_that_is_not_known_is_refused(link, ctx, monkeypatch):
    def other(*given):
        yield [memoryview(b"PGCOPY\n\xff\r\n\0" + b"\0\1\0\0" + b"\0\0\0\0")]
        return 0

    monkeypatch.setattr(copying, "_messages", other)
    with pytest.raises(DataError, match="form that is not known"):
        list(copy_out(link, "select 1", ctx, "here", binary=True))
