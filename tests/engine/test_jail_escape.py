"""The ways out of the jail, each tried; and nothing in there to find."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sluicegate.base.errors import Failed
from sluicegate.engine import jail
from sluicegate.engine.program import Program
from tests.fixtures.jail import SMALL, SOURCE, ask, counted, one

pytestmark = pytest.mark.slow


@pytest.mark.security
@pytest.mark.req("SEC-S01")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd', header = false)", "SELECT * FROM '/etc/passwd'", "FROM '/etc/*.csv'",
        "SELECT * FROM read_text('/etc/hostname')", "SELECT * FROM read_blob('/proc/1/environ')",
        "SELECT * FROM read_json('/etc/passwd')", "SELECT * FROM read_parquet('/tmp/spill/x')", "SELECT * FROM glob('/*')",
        "SELECT * FROM glob('/tmp/**')", "SELECT * FROM sniff_csv('/etc/passwd')", "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM read_csv('https://example.org/x.csv')", "SELECT * FROM read_parquet('s3://bucket/key')",
        "SELECT * FROM read_text('http://169.254.169.254/latest/meta-data/')",
        "COPY (SELECT 1) TO '/tmp/spill/out.csv'", "COPY (SELECT 1) TO '/dev/stdout'", "EXPORT DATABASE '/tmp/spill/x'",
        "ATTACH '/tmp/spill/x.db' AS x", "ATTACH ':memory:' AS x", "INSTALL httpfs", "LOAD httpfs", "LOAD '/tmp/spill/x'",
        "FORCE INSTALL x FROM 'http://example.org'", "SET enable_external_access = true", "RESET lock_configuration",
        "SET threads = 8", "SET memory_limit = '10GB'", "SET GLOBAL temp_directory = '/'", "PRAGMA enable_external_access",
        "PRAGMA memory_limit='10GB'", "CALL pragma_version()", "CREATE TABLE x (a int)", "CREATE SECRET (TYPE s3)",
        "CREATE MACRO f() AS 1", "CREATE FUNCTION getenv() AS 1", "SELECT getenv('HOME')", "SELECT * FROM sluicegate",
        "SELECT * FROM os", "SELECT * FROM job", "SELECT * FROM connection", "USE memory", "CHECKPOINT", "EXECUTE p", "BEGIN",
        "PREPARE p AS SELECT 1", "EXPLAIN ANALYZE SELECT 1", "INSERT INTO t VALUES (1)", "DELETE FROM t", "DROP VIEW t",
        "IMPORT DATABASE '/tmp'", "SELECT * FROM query('COPY (SELECT 1) TO ''/tmp/spill/x''')", "SELECT 1; COPY (SELECT 1) TO '/x'",
        "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x", "SELECT * FROM postgres_scan('host=db', 'a', 'b')",
        "SELECT * FROM sqlite_scan('/x', 'y')", "SELECT * FROM iceberg_scan('/x')", "SELECT * FROM duckdb_secrets(redact := false)",
        "SELECT json_execute_serialized_sql(json_serialize_sql('COPY (SELECT 1) TO ''/x'''))", "SELECT write_log('x', '/tmp/x')::int",
        "SELECT * FROM read_csv('/dev/stdin')", "SELECT * FROM read_text('/proc/self/fd/3')", "SELECT * FROM seq_scan('x')",
        "SELECT * FROM python_map_function('x')", "SELECT * FROM pandas_scan(1::ubigint)", "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM arrow_scan_dumb(1, 2, 3)", "SELECT * FROM read_duckdb('/x')", "VACUUM",
    ],
)  # fmt: skip
def test_no_statement_gets_out(sql):
    with pytest.raises(Failed):
        ask(sql)


THERE = ("/jail/jailed.py", "/proc/self/environ", os.__file__)
"""Files that are in the jail's own view."""
NOT_THERE = ("/etc/passwd", "/usr/lib/os-release", str(SOURCE / "jail.py"))
OWN_LOCK = '    connection.execute("SET enable_external_access = false")\n'
LANDLOCK = '    abi = confine.landlock(write=(asked["spill"],) if asked["spill"] else ())\n'


@pytest.mark.security
@pytest.mark.req("SEC-S01")
@pytest.mark.parametrize("reader", ["read_text", "read_blob"])
def test_no_file_is_read_even_if_duckdb_were_asked_to(altered, reader):
    """The engine's own lock taken away, the other walls still hold: Landlock, and mounts that lack the rest."""
    altered("jailed.py", OWN_LOCK, "")
    for path in THERE:
        with pytest.raises(Failed, match="Permission denied"):
            ask(f"SELECT * FROM {reader}('{path}')")
    for path in NOT_THERE:
        assert ask(f"SELECT * FROM {reader}('{path}')").num_rows == 0
    with pytest.raises(Failed):
        ask(f"SELECT * FROM {reader}('http://127.0.0.1:1/')")
    assert ask("SELECT * FROM glob('/*')").num_rows == 0


@pytest.mark.security
def test_a_file_is_read_where_both_walls_are_gone(altered):
    """The control: what the test above sees refused is refused by the walls."""
    altered("jailed.py", OWN_LOCK, "")
    altered("jailed.py", LANDLOCK, "    abi = confine.landlock_abi()\n")
    assert "def _work" in one("SELECT content FROM read_text('/jail/jailed.py')")


@pytest.mark.security
@pytest.mark.req("SEC-S03")
def test_nothing_of_ours_is_in_the_child(monkeypatch):
    monkeypatch.setenv("SLUICE_SECRET_CANARY", "canary-value")
    leaked = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    held = jail.start(SMALL)
    try:
        program = Program("SELECT *, 'canary-text' AS c FROM t", {"p": "canary-parameter"}, {"t": counted(100_000)[0]})
        with held.run(program):
            base = Path(f"/proc/{held.pid}")
            seen = b"".join((base / name).read_bytes() for name in ("environ", "cmdline"))
            seen += (
                Path(f"/proc/{held.cell.child.pid}/environ").read_bytes()
                + Path(f"/proc/{held.cell.child.pid}/cmdline").read_bytes()
            )
            opened = [os.readlink(base / "fd" / name) for name in os.listdir(base / "fd")]
            mounts = (base / "mountinfo").read_text()
            spaces = {name for name in ("user", "pid", "net", "mnt", "ipc", "uts", "cgroup")
                      if os.readlink(base / "ns" / name) != os.readlink(f"/proc/self/ns/{name}")}  # fmt: skip
            status = dict(re.findall(r"^(\w+):\s+(.*)$", (base / "status").read_text(), re.MULTILINE))
    finally:
        os.close(leaked)
    assert b"canary" not in seen
    assert all(re.match(r"pipe:|/dev/null|/null", name) for name in opened), opened
    assert len(opened) <= 9
    assert spaces == {"user", "pid", "net", "mnt", "ipc", "uts", "cgroup"}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    places = [line.split()[4] for line in mounts.splitlines()]
    for secret in ("/etc", "/home", "/var", str(Path.home()), str(SOURCE), "/work"):
        assert secret not in places
    writable = {line.split()[4] for line in mounts.splitlines() if "rw" in line.split()[5].split(",")}
    assert "/" not in writable


@pytest.mark.security
@pytest.mark.req("SEC-S04")
def test_each_run_has_its_own_jail():
    spaces = []
    look = "SELECT (SELECT count(*) FROM duckdb_temporary_files()) AS n FROM range(1000000)"
    for _ in range(2):
        held = jail.start(SMALL, inputs=0)
        with held.run(Program("SELECT count(*) FROM (SELECT DISTINCT i FROM range(3000000) t(i))", {}, {})) as rows:
            rows.read_all()
        held = jail.start(SMALL, inputs=0)
        with held.run(Program(look, {}, {})) as rows:
            first = rows.read_next_batch()  # there is more than the pipe holds, so it lives
            # held open: the kernel gives the number of a namespace that is gone to the next one
            spaces.append(os.open(f"/proc/{held.pid}/ns/mnt", os.O_RDONLY))
            assert {*first.column(0).to_pylist(), *rows.read_all().column(0).to_pylist()} == {0}
    own = Path("/proc/self/ns/mnt").stat().st_ino
    assert len({own, *(os.fstat(each).st_ino for each in spaces)}) == 3
    for each in spaces:
        os.close(each)
