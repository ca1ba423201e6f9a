"""Each example runs where it lies, with the exit code and the rows that it promises."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from tests.fixtures.mariadb import mariadb

__all__ = ["mariadb"]
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


class Ended(NamedTuple):
    """Exit code and answer of a run."""

    code: int
    run: dict[str, Any]


class Folder:
    """A copy of the examples, for whoever runs ``sluice`` in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for each in EXAMPLES.glob("*.yaml"):
            shutil.copy(each, path)
        shutil.copytree(EXAMPLES / "data", path / "data")
        (path / "research.key").write_text(base64.b64encode(os.urandom(64)).decode())

    def sluice(self, *words: str) -> Ended:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "src"),
            "SLUICE_HOME": str(self.path / "home"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "sluicegate", *words, "--json"],
            cwd=self.path, env=environment, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return Ended(done.returncode, json.loads(done.stdout))

    def run(self, name: str, *words: str) -> Ended:
        keys = ("--secret", "research=research.key") if name == "patients-masked" else ()
        return self.sluice("run", "--local", f"{name}.yaml", *keys, *words)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# name -> exit code, rows read, written, rejected
PROMISED = {
    "orders-sealed": (0, 8, 8, 0),
    "orders-to-duckdb": (0, 8, 8, 0),
    "orders-to-parquet": (0, 8, 6, 0),
    "orders-with-names": (0, 12, 8, 0),
    "patients-masked": (0, 5, 5, 0),
    "readings-checked": (3, 6, 4, 2),
    "readings-since": (0, 6, 6, 0),
    "sales-by-region": (3, 18, 6, 2),
    "shop-to-ndjson": (0, 5, 5, 0),
    "stock-to-sqlite": (0, 4, 4, 0),
}

MORE = {"readings-since": ("--state", "readings.state")}


def test_every_example_is_here():
    assert sorted(each.stem for each in EXAMPLES.glob("*.yaml")) == sorted(
        [*PROMISED, "stock-to-mysql", "stock-by-mode"]
    )


@pytest.mark.parametrize("name", PROMISED)
def test_an_example_keeps_its_promise(folder, name):
    code, run = folder.run(name, *MORE.get(name, ()))
    counts = run["counts"]
    assert (code, counts["read"], counts["written"], counts["rejected"]) == PROMISED[name], run["error"]


def test_parquet_holds_what_the_map_says(folder):
    folder.run("orders-to-parquet", "-p", "least=100")
    rows = pq.read_table(folder.path / "out" / "large-orders.parquet").to_pylist()
    assert [row["order"] for row in rows] == [1001, 1004, 1006, 1008]
    assert str(rows[0]["vat"]) == "27.28"
    assert rows[0]["month"] == "2024-03"


def test_merging_twice_changes_nothing(folder):
    def stock() -> list[tuple[Any, ...]]:
        with sqlite3.connect(folder.path / "stock.db") as shop:
            found = shop.execute("select sku, name, price, stock from stock order by sku").fetchall()
        shop.close()
        return found

    assert folder.run("stock-to-sqlite").code == 0
    first = stock()
    assert folder.run("stock-to-sqlite").code == 0
    assert stock() == first
    assert first[0] == ("0012", "Tea, green", first[0][2], 120)
    assert Decimal(str(first[0][2])) == Decimal("4.25")
    assert first[3][3] is None


def test_each_mode_does_what_the_page_says(folder):
    counts = []
    for words in (
        ("stock-to-sqlite",),
        *(("stock-by-mode", f"stock-{each}") for each in ("insert-missing", "reload", "delete")),
    ):
        done = folder.run(*words)
        assert done.code == 0, done.run["error"]
        (receipt,) = done.run["receipts"].values()
        counts.append(
            {name: receipt[name] for name in ("inserted", "updated", "deleted", "unchanged") if name in receipt}
        )
    assert counts == [
        {"inserted": 4, "updated": 0}, {"inserted": 0, "unchanged": 4}, {"inserted": 4, "deleted": 4}, {"deleted": 4},
    ]  # fmt: skip


def test_the_server_that_an_example_names_takes_its_rows(folder, mariadb):
    shop = mariadb.fresh()
    try:
        document = folder.path / "stock-to-mysql.yaml"
        authority = "".join(f"  {line}\n" for line in shop.ca.splitlines())
        mine = f"host: {shop.host}\nport: {shop.port}\ndatabase: {shop.dbname}\nuser: {shop.user}\nca: |\n{authority}"
        theirs = "host: shop.example.org\nport: 3306\ndatabase: shop\nuser: loader\n"
        document.write_text(document.read_text().replace(theirs, mine))
        (folder.path / "pw").write_text(shop.password)
        for _ in range(2):
            assert folder.run("stock-to-mysql", "--secret", "shop-password=pw").code == 0
        assert shop.execute("select sku, price from stock order by sku")[0] == ("0012", Decimal("4.25"))
    finally:
        shop.drop()


def test_a_row_without_a_partner_stays(folder):
    folder.run("orders-with-names")
    lines = (folder.path / "out" / "orders-with-names.csv").read_text().splitlines()
    assert "1007,C-040,(unknown),,64.80" in lines
    assert len(lines) == 9


def test_steps_and_a_query_come_to_the_same_sums(folder):
    folder.run("sales-by-region")
    out = folder.path / "out"
    assert (out / "sales-by-region.csv").read_text().splitlines() == [
        "region,q1,q2,q3,q4", "north,20.50,11.00,,", "online,24.00,,,37.50", "south,50.00,,,",
    ]  # fmt: skip
    best = (out / "best-sellers.csv").read_text().splitlines()
    assert best == ["region,sku,sold", "north,CUP,24.00", "online,TEA,37.50", "south,TEA,50.00"]


def test_the_quarantined_row_is_kept_aside(folder):
    folder.run("readings-checked", "--rejects", "rejected")
    kept = [json.loads(line) for file in (folder.path / "rejected").iterdir() for line in file.read_text().splitlines()]
    assert [(each["step"], each["column"]) for each in kept] == [("plausible", "celsius")]
    assert "91.0" in kept[0]["raw"]
    landed = (folder.path / "out" / "readings.ndjson").read_text()
    assert "91.0" not in landed


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_masked_patients_stay_apart_and_nothing_tells_who_they_are(folder):
    folder.run("patients-masked")
    text = (folder.path / "out" / "stays.csv").read_text()
    head, *rows = (line.split(",") for line in text.splitlines())
    assert not any(word in text for word in ("Byron", "Rossi", "example.org", "756.", "1981", "P-00"))
    assert [row[head.index("days")] for row in rows] == ["7", "1", "4", "", "0"]
    assert rows[0][:3] == rows[2][:3]
    assert len({row[2] for row in rows}) == 4
    assert len({row[0] for row in rows}) == 4
    document = folder.path / "patients-masked.yaml"
    document.write_text(document.read_text().replace("        - { columns: insured, method: tokenize }\n", ""))
    code, run = folder.run("patients-masked")
    assert code == 4
    assert "'insured' is tagged 'national-id', and the connection 'lab' refuses that" in run["error"]["title"]


@pytest.mark.security
@pytest.mark.req("SEC-F01")
def test_the_archive_opens_for_its_recipient_alone(folder):
    mine = folder.sluice("archive", "keygen", "mine.age").run["recipient"]
    folder.sluice("archive", "keygen", "other.age")
    document = folder.path / "orders-sealed.yaml"
    lines = [
        f"recipient: {mine}" if line.startswith("recipient: ") else line for line in document.read_text().splitlines()
    ]
    document.write_text("\n".join(lines) + "\n")
    assert folder.run("orders-sealed").code == 0
    sealed = "out/orders-2024-03.parquet.age"
    assert b"C-014" not in (folder.path / sealed).read_bytes()
    assert folder.sluice("archive", "open", sealed, "--identity", "other.age", "-o", "other.parquet").code != 0
    assert not (folder.path / "other.parquet").exists()
    assert folder.sluice("archive", "open", sealed, "--identity", "mine.age", "-o", "mine.parquet").code == 0
    assert pq.read_table(folder.path / "mine.parquet").num_rows == 8
