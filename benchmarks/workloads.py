"""W1 to W6: the ways rows go most often. Each is done by ``sluice run --local`` and by its reference, and checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import duckdb
import yaml

from benchmarks import dataset, references
from benchmarks.references import parquet, psql, query
from tests.fixtures.postgres import PostgresServer

ROOT = Path(__file__).parents[1]
_MAPPED = {  # W4: what is computed of each row, as a flow says it and as DuckDB does
    "id": "id", "code": "upper(code)", "region": "region", "account": "account", "created": "created",
    "total": "cast(amount * quantity as decimal(18,2))", "comment": "comment",
}  # fmt: skip
_WHERE = "status <> 3 and amount > 1000"
_SELECTED = f"select {', '.join(f'{sql} as {name}' for name, sql in _MAPPED.items())} from {{}} where {_WHERE}"


@dataclass
class Place:
    """Where the workloads work: a database, a folder, and how many rows."""

    server: PostgresServer
    folder: Path
    rows: int

    @property
    def csv(self) -> Path:
        """The dataset as CSV."""
        return self.folder / "rows.csv"

    @property
    def documents(self) -> Path:
        """Nested documents, a tenth as many."""
        return self.folder / "documents.ndjson"

    @property
    def changes(self) -> Path:
        """A tenth as many rows, of which a fifth have new keys."""
        return self.folder / "changes.csv"

    def prepare(self) -> None:
        """Make the data."""
        few, base = self.rows // 10, self.rows // 2
        dataset.write_csv(self.csv, self.rows)
        dataset.write_documents(self.documents, few)
        spread = f"case when i % 5 = 4 then {base} + i else (i * 7919) % {base} end"
        dataset.write_csv(self.changes, few, seed=1, ids=spread)
        references.load_csv(self.server, self.csv, "src")
        psql(self.server, "alter table src add primary key (id)", "vacuum (freeze, analyze) src")

    def print_of(self, table: str) -> str:
        """Return the number of rows and a sum over all of their text, whatever their order."""
        return query(self.server, f"select count(*), sum(hashtextextended(t::text, 0)) from {table} as t")

    def print_of_file(self, select: str) -> str:
        """Return the same of what DuckDB reads."""
        with duckdb.connect() as link:
            link.execute("set timezone = 'UTC'")
            found = link.execute(f"select count(*), sum(hash(t::text)::hugeint) from ({select}) as t").fetchone()
        return str(found)


class Took(NamedTuple):
    """What a run of ours said of itself."""

    peak: int
    """Bytes of memory (PSS) of all its processes, at most."""


class Workload(NamedTuple):
    """One way that rows go."""

    name: str
    what: str
    reference: str
    limit: float
    """What our time may be, over the reference's."""
    clear: Callable[[Place], None]
    """Put the target into the state before."""
    refer: Callable[[Place], None]
    flow: Callable[[Place], list[dict[str, object]]]
    """The steps of our flow."""
    found: Callable[[Place], str]
    """The print of the target as it is."""
    wanted: Callable[[Place], str] | None = None
    """The print that it must have; what the reference leaves when absent."""


def run(place: Place, name: str, steps: list[dict[str, object]]) -> Took:
    """Run a flow by the command line, as a person does."""
    server = place.server
    documents = [
        {"kind": "connection", "name": "here", "type": "files", "root": "."},
        {"kind": "connection", "name": "db", "type": "postgres", "host": server.host, "port": server.port,
         "database": server.dbname, "user": server.user, "password": {"secret": "db"}, "tls": "disable"},
        {"kind": "flow", "name": "f", "steps": steps},
    ]  # fmt: skip
    file = place.folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SLUICE_HOME": str(place.folder / "home"),
           "SLUICE_SECRET_DB": server.password}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "sluicegate", "run", "--local", str(file), "--json"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stdout}{done.stderr}")
    return Took(json.loads(done.stdout)["counts"]["peak"])


def _csv(item: str = "rows.csv") -> dict[str, object]:
    form = {"type": "csv", "columns": dataset.COLUMNS}
    return {"read": {"name": "rows", "connection": "here", "item": item, "format": form}}


def _table(item: str = "src") -> dict[str, object]:
    return {"read": {"name": "rows", "connection": "db", "item": item}}


def _write(connection: str, item: str, mode: object, source: str = "rows") -> dict[str, object]:
    return {"write": {"from": source, "connection": connection, "item": item, "mode": mode}}


def _drop(place: Place) -> None:
    psql(place.server, "set client_min_messages to warning", "drop table if exists target", "checkpoint")


def _remove(place: Place) -> None:
    (place.folder / "out.parquet").unlink(missing_ok=True)
    psql(place.server, "checkpoint")


def _half(place: Place) -> None:
    psql(
        place.server, "set client_min_messages to warning", "drop table if exists target",
        "create table target (like src including all)",
        f"insert into target select * from src where id < {place.rows // 2}", "vacuum analyze target", "checkpoint",
    )  # fmt: skip


def _of_target(place: Place) -> str:
    return place.print_of("target")


def _of_file(place: Place) -> str:
    return place.print_of_file(f"select * from '{place.folder / 'out.parquet'}'")


def _copied(place: Place) -> str:
    return place.print_of_file(f"select * from {references.csv_in_duck(place.csv)}")


_NESTED = {
    "id": "int64", "at": "timestamptz", "amount": "decimal(12,2)", "discount": "decimal(4,2)", "note": "text",
    "customer": "struct(id int64, name text, address struct(city text, zip text))", "items": "json", "tags": "json",
}  # fmt: skip
_FLAT = {
    "id": "id", "at": "at", "amount": "amount", "discount": "discount", "note": "note", "customer": "customer['id']",
    "name": "customer['name']", "city": "customer['address']['city']", "zip": "customer['address']['zip']",
    "items": "items", "tags": "tags",
}  # fmt: skip


def all_() -> Iterator[Workload]:
    """Yield the workloads in order."""
    yield Workload(
        "W1", "CSV → PostgreSQL", "psql \\copy csv", 0.65, _drop,
        lambda place: references.load_csv(place.server, place.csv, "target"),
        lambda _: [_csv(), _write("db", "target", "append")], _of_target,
    )  # fmt: skip
    yield Workload(
        "W2", "PostgreSQL → Parquet, exact types", "psql COPY to null (text)", 1.1, _remove,
        lambda place: references.read_all(place.server, "src"),
        lambda _: [_table(), _write("here", "out.parquet", "replace")], _of_file, _copied,
    )  # fmt: skip
    yield Workload(
        "W3", "PostgreSQL → PostgreSQL", "psql COPY binary | psql COPY binary", 1.15, _drop,
        lambda place: references.pipe(place.server, "src", "target"),
        lambda _: [_table(), _write("db", "target", "append")], _of_target,
    )  # fmt: skip
    yield Workload(
        "W4a", "CSV → Parquet: filter, compute", "the same in plain DuckDB", 1.15, _remove,
        lambda place: references.duck(
            parquet(_SELECTED.format(references.csv_in_duck(place.csv)), place.folder / "out.parquet")
        ),
        lambda _: [
            _csv(), {"map": {"name": "made", "from": "rows", "where": _WHERE, "columns": _MAPPED}},
            _write("here", "out.parquet", "replace", "made"),
        ],
        _of_file,
    )  # fmt: skip
    yield Workload(
        "W5", "nested NDJSON → PostgreSQL", "COPY to jsonb, flattened in SQL", 0.65, _drop,
        lambda place: references.flatten(place.server, place.documents, "target"),
        lambda _: [
            {"read": {"name": "rows", "connection": "here", "item": "documents.ndjson",
                      "format": {"type": "ndjson", "columns": _NESTED}}},
            {"map": {"name": "flat", "from": "rows", "columns": _FLAT}},
            _write("db", "target", "append", "flat"),
        ],
        lambda place: query(
            place.server, "select count(*), sum(hashtextextended(row(id, at, amount, discount, note, customer, name, "
            "city, zip, items::jsonb, tags::jsonb)::text, 0)) from target",
        ),
    )  # fmt: skip
    yield Workload(
        "W6", "upsert of a tenth into a table with a key", "stage, then plain ON CONFLICT", 0.9, _half,
        lambda place: references.upsert(place.server, place.changes, "target"),
        lambda _: [_csv("changes.csv"), _write("db", "target", {"type": "merge", "keys": ["id"]})], _of_target,
    )  # fmt: skip
