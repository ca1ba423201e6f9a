"""What each workload is measured against: what a person would write by hand with psql or DuckDB, as fast as it goes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.dataset import TYPES
from tests.fixtures.postgres import PostgresServer

_DUCK = "import sys, duckdb\nduckdb.connect().execute(sys.argv[1])"
DOCUMENT = """
select (doc->>'id')::bigint as id, (doc->>'at')::timestamptz as at, (doc->>'amount')::numeric(12,2) as amount,
  (doc->>'discount')::numeric(4,2) as discount, doc->>'note' as note, (doc->'customer'->>'id')::bigint as customer,
  doc->'customer'->>'name' as name, doc->'customer'->'address'->>'city' as city,
  doc->'customer'->'address'->>'zip' as zip, doc->'items' as items, doc->'tags' as tags
"""


def shell(server: PostgresServer, *commands: str, out: int | None = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start psql with these commands, one after the other."""
    words = [word for each in commands for word in ("-c", each)]
    where = ["-h", server.host, "-p", str(server.port), "-U", server.user, "-d", server.dbname]
    return subprocess.Popen(
        ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", *where, *words], stdin=subprocess.PIPE, stdout=out,
        env={**os.environ, "PGPASSWORD": server.password},
    )  # fmt: skip


def finish(*processes: subprocess.Popen[bytes]) -> None:
    """Wait for all of them; raise when one fails."""
    for each in reversed(processes):
        each.communicate()
    for each in processes:
        if each.returncode:
            raise RuntimeError(f"{each.args!r} ended with {each.returncode}")


def psql(server: PostgresServer, *commands: str) -> None:
    """Run psql to its end."""
    finish(shell(server, *commands))


def query(server: PostgresServer, sql: str) -> str:
    """Return what one query says, as text."""
    asked = shell(server, sql, out=subprocess.PIPE)
    answer = asked.communicate()[0].decode().strip()
    finish(asked)
    return answer


def declared() -> str:
    """Return the columns for a CREATE TABLE."""
    return ", ".join(f"{name} {kind}" for name, kind in TYPES.items())


def load_csv(server: PostgresServer, file: Path, table: str) -> None:
    """Make a table and fill it by ``\\copy``."""
    psql(server, f"create table {table} ({declared()})", f"\\copy {table} from '{file}' csv header")


def read_all(server: PostgresServer, table: str) -> None:
    """Read a whole table as text, to nowhere."""
    psql(server, f"copy {table} to stdout")


def pipe(server: PostgresServer, source: str, target: str) -> None:
    """Copy a table in binary form from one psql to another."""
    psql(server, f"create table {target} (like {source})")
    giving = shell(server, f"copy {source} to stdout binary", out=subprocess.PIPE)
    taking = subprocess.Popen(
        ["psql", "-X", "-q", server.url, "-c", f"copy {target} from stdin binary"], stdin=giving.stdout
    )
    giving.stdout.close()
    giving.stdout = None
    finish(giving, taking)


def flatten(server: PostgresServer, file: Path, table: str) -> None:
    """Load lines as jsonb and take them apart in SQL, in one session."""
    psql(
        server, "create temp table lines (doc jsonb)",
        f"\\copy lines from '{file}' csv quote e'\\x01' delimiter e'\\x02'",
        f"create table {table} as {DOCUMENT} from lines",
    )  # fmt: skip


def upsert(server: PostgresServer, file: Path, table: str) -> None:
    """Load a stage and merge it by a plain ON CONFLICT, in one session."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in TYPES if name != "id")
    psql(
        server, "begin", f"create temp table stage ({declared()}) on commit drop",
        f"\\copy stage from '{file}' csv header",
        f"insert into {table} select * from stage on conflict (id) do update set {changes}", "commit",
    )  # fmt: skip


def duck(sql: str) -> None:
    """Run SQL in a DuckDB of its own process, with its defaults."""
    subprocess.run([sys.executable, "-c", _DUCK, sql], check=True)


def csv_in_duck(file: Path) -> str:
    """Return the table function that reads the dataset's CSV with its types."""
    types = ", ".join(f"'{name}': '{kind}'" for name, kind in TYPES.items())
    return f"read_csv('{file}', header = true, columns = {{{types}}}, allow_quoted_nulls = false)"


def parquet(select: str, file: Path) -> str:
    """Return SQL that writes a query to Parquet as zstd."""
    return f"copy ({select}) to '{file}' (format parquet, compression zstd)"
