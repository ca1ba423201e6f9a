"""The program inside the jail: confines itself, then runs one SELECT over streams of rows. ``jail.py`` starts it by path.

It knows nothing of the product: the standard library, pyarrow's core, DuckDB's core, and ``confine.py`` beside it. No user
text is read before every wall stands. The only ways in and out are the pipes whose numbers the command line tells:

* ``control`` (out): JSON lines: ``{"ready": layers}``, then ``{"ok": rows}`` or ``{"error": {"kind", "message"}}``;
* ``job`` (in): one JSON document to the end of the pipe: ``{"sql", "params", "inputs"}`` or ``{"probe": {…}}``;
* ``inputs`` (in) and ``output`` (out): Arrow IPC streams.
"""

from __future__ import annotations

import datetime
import decimal
import io
import json
import os
import re
import resource
import sys
from typing import Any, BinaryIO

BATCH_BYTES = 1 << 20
_CHUNK = 2048  # rows in a DuckDB vector
_KINDS = {
    "Conversion": "data", "Out of Range": "data", "Invalid Input": "data", "Mismatch Type": "data", "Decimal": "data",
    "Constraint": "data", "Divide by Zero": "data",
}  # fmt: skip
_ERROR = re.compile(r"^(?:[A-Za-z]+: )?([A-Z][A-Za-z ]{1,30}?) Error: (.*)", re.DOTALL)
_COLUMN = re.compile(r"(?:Referenced column|does not have a column named) (\"(?:[^\"]|\"\")+\")")


class Refused(Exception):
    """The program is not one that runs here; the message says why."""


def _say(control: BinaryIO, **line: object) -> None:
    control.write(json.dumps(line).encode() + b"\n")
    control.flush()


def explain(text: str, memory_mb: int) -> tuple[str, str]:
    """Return (kind, one clean sentence) for what DuckDB said: no excerpt of the query, no candidates, no stack."""
    found = _ERROR.match(text)
    kind, said = (found[1], found[2]) if found else ("", text)
    said = re.split(r"\n|LINE \d+:|Candidate bindings:|Candidate functions:|Did you mean", said, maxsplit=1)[0]
    said = " ".join(said.split()).rstrip("!. ")[:500] or "the query failed"
    if kind == "Out of Memory" or "bad_alloc" in text or "bad allocation" in text:
        return "memory", f"needs more than the {memory_mb} MB of memory it may use"
    if kind == "Binder" and (column := _COLUMN.search(said)):
        return "unknown_column", f"there is no column {column[1]}"
    if "ArrowArrayStream" in said:
        return "failed", "an input is read twice; rows on their way can be read once only"
    if kind == "Permission" or "disabled by configuration" in said:
        return "failed", f"not allowed here: {said}"
    return _KINDS.get(kind, "failed"), said


def decode(tagged: list[Any]) -> object:
    """Return the value of a parameter from its ``[kind, text]`` form."""
    kind, value = tagged
    if kind == "float":
        return float(value)
    if kind == "decimal":
        return decimal.Decimal(value)
    if kind == "date":
        return datetime.date.fromisoformat(value)
    if kind == "datetime":
        return datetime.datetime.fromisoformat(value)
    return value


def _open(asked: dict[str, Any]) -> Any:
    """Return a DuckDB connection that can compute and spill, and nothing else, with its settings locked.

    One thread: with more, DuckDB 1.5.5 drains a slow input before it gives the first row (unbounded memory), and a join
    gives its rows in another order each time. The right side of a join is the one held in memory: streams have no
    statistics for the optimizer to choose by, and its guess can turn the big side into the one that is held.
    """
    import _duckdb  # the core alone: the package around it costs start time

    connection = _duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": f"{asked['memory_mb']}MiB",
            "temp_directory": asked["spill"],
            "temp_file_encryption": True,
            "max_temp_directory_size": f"{asked['spill_bytes'] >> 20}MiB",
            "preserve_insertion_order": True,
            "default_null_order": "nulls_last",
            "disabled_optimizers": "join_order,build_side_probe_side",
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
            "allow_community_extensions": False,
            "allow_unsigned_extensions": False,
            "allow_persistent_secrets": False,
            "python_enable_replacements": False,
            "enable_external_file_cache": False,
            "arrow_lossless_conversion": True,
            "enable_external_access": False,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET lock_configuration = true")
    return connection


def _namespaces() -> dict[str, bool]:
    """Tell which namespaces are ours, while /proc can still be read."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            own = file.read().split() != ["0", "0", "4294967295"]
        with open("/proc/net/dev", encoding="ascii") as file:
            alone = {line.split(":")[0].strip() for line in file.readlines()[2:]} <= {"lo"}
    except OSError:
        own = alone = False
    return {"userns": own, "netns": alone, "pidns": os.getpid() == 1}


def _confine(asked: dict[str, Any]) -> dict[str, object]:
    """Raise every wall. ``OSError`` names the one that does not stand."""
    import confine

    spaces = _namespaces()
    with open("/proc/self/statm", encoding="ascii") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    if len(os.listdir("/proc/self/task")) != 1:
        raise OSError("landlock: there is more than one thread")
    # DuckDB's own limit counts its buffers; what expressions and Arrow hold comes on top, half as much and a fixed part.
    confine.bound(
        address_space=mapped + (asked["memory_mb"] * 3 // 2 + 128 << 20),
        cpu_seconds=asked["cpu_seconds"],
        processes=asked["processes"],
        files=asked["files"],
        file_bytes=asked["spill_bytes"],
    )
    confine.disarm()
    abi = confine.landlock(write=(asked["spill"],))
    confine.seccomp()
    return {**spaces, "landlock": abi, "seccomp": True, "rlimits": True}


def _batch_rows(kinds: list[Any]) -> int:
    """Return the number of rows that make about ``BATCH_BYTES``, from the types alone."""
    width = 1
    for kind in kinds:
        try:
            width += max(kind.bit_width // 8, 1)
        except ValueError:  # text, bytes, lists: a guess; what turns out larger is cut
            width += 24
    return max(BATCH_BYTES // width // _CHUNK, 1) * _CHUNK


def _statement(connection: Any, sql: str) -> Any:
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type.name != "SELECT":
        raise Refused("only one SELECT runs here")
    return statements[0]


def _run(job: dict[str, Any], connection: Any, inputs: list[int], output: int) -> int:
    import pyarrow.lib as arrow

    statement = _statement(connection, job["sql"])
    for name, number in zip(job["inputs"], inputs, strict=False):
        rows = arrow.ipc.open_stream(os.fdopen(number, "rb"))
        connection.register(name, arrow.RecordBatchReader.from_batches(rows.schema, rows).__arrow_c_stream__())
    used = {name.lower() for name in statement.named_parameters}
    params = {name: decode(value) for name, value in job["params"].items() if name.lower() in used}
    connection.execute(statement, params) if params else connection.execute(statement)
    rows = connection.to_arrow_reader(_batch_rows([kind for kind in _kinds(connection)]))
    count = 0
    with os.fdopen(output, "wb") as sink, arrow.ipc.new_stream(sink, rows.schema) as writer:
        sink.flush()
        for batch in rows:
            step = batch.num_rows
            if batch.nbytes > 2 * BATCH_BYTES:
                step = max(batch.num_rows * BATCH_BYTES // batch.nbytes, 1)
            for start in range(0, batch.num_rows, step or 1):
                writer.write_batch(batch.slice(start, step))
            count += batch.num_rows
    return count
