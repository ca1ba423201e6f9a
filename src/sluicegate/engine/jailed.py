"""The program inside the jail: confines itself, then runs one SELECT over streams of rows. ``cell.py`` starts it.

It knows nothing of the product: the standard library, pyarrow's core, DuckDB's core, and ``confine.py`` beside it. No
user text is read before every wall stands. The only ways in and out are pipes, whose numbers the command line tells:

* ``control`` (out): JSON lines: ``{"ready": layers}``, ``{"types": schema}`` when asked for, then ``{"ok": rows}`` or
  ``{"error": {"kind", "message"}}``;
* ``job`` (in): one JSON document to the end of the pipe: ``{"sql", "types", "params", "inputs"}`` or
  ``{"probe": {…}}``;
* ``inputs`` (in) and ``output`` (out): Arrow IPC streams.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import errno
import json
import mmap
import os
import re
import resource
import sys
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH_BYTES = 1 << 20
_CHUNK = 2048  # rows in a DuckDB vector
_KINDS = {
    "Conversion": "data", "Out of Range": "data", "Invalid Input": "data", "Mismatch Type": "data", "Decimal": "data",
    "Constraint": "data", "Divide by Zero": "data",
}  # fmt: skip
_NOT_CARRIED = {"uhugeint", "bignum", "bit", "union", "time with time zone", "time_ns", "geometry", "variant"}
_NESTED = {"list", "array", "struct", "map"}
_WIDTHS = {
    "boolean": 1, "tinyint": 1, "utinyint": 1, "smallint": 2, "usmallint": 2, "integer": 4, "uinteger": 4, "date": 4,
    "float": 4, "bigint": 8, "ubigint": 8, "double": 8, "time": 8, "timestamp": 8, "timestamp with time zone": 8,
    "decimal": 16, "hugeint": 16, "interval": 16, "uuid": 36,
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
    said = re.split(
        r"\n|LINE \d+:|Candidate bindings:|Candidate functions:|Did you mean|\. Use \"SET ", said, maxsplit=1
    )[0]
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
        return dt.date.fromisoformat(value)
    if kind == "datetime":
        return dt.datetime.fromisoformat(value)
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
            "temp_directory": asked["spill"],  # memory that nobody else has mounted; "" spills nothing
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
            "arrow_lossless_conversion": False,
        },
    )
    connection.execute("SET enable_external_access = false")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET lock_configuration = true")
    return connection


def _namespaces() -> dict[str, bool]:
    """Tell which namespaces are ours, while /proc can still be read."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:  # noqa: PTH123 - pathlib costs start time
            own = file.read().split() != ["0", "0", "4294967295"]
        with open("/proc/net/dev", encoding="ascii") as file:  # noqa: PTH123 - the same
            alone = {line.split(":")[0].strip() for line in file.readlines()[2:]} <= {"lo"}
    except OSError:
        own = alone = False
    return {"userns": own, "netns": alone, "pidns": os.getpid() == 1}


def _confine(asked: dict[str, Any]) -> dict[str, object]:
    """Raise every wall. ``OSError`` names the one that does not stand."""
    import confine  # type: ignore[import-not-found] # beside this file

    spaces = _namespaces()
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - the same
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208 - the same
        raise OSError("landlock: there is more than one thread")
    # DuckDB's own limit counts its buffers; what expressions and Arrow hold comes on top: half as much, and a part.
    confine.bound(
        address_space=mapped + (asked["memory_mb"] * 3 // 2 + 128 << 20),
        cpu_seconds=asked["cpu_seconds"],
        processes=asked["processes"],
        files=asked["files"],
        file_bytes=asked["spill_bytes"],
    )
    confine.disarm()
    abi = confine.landlock(write=(asked["spill"],) if asked["spill"] else ())
    confine.seccomp()
    return {**spaces, "landlock": abi, "seccomp": True, "rlimits": True}


def _batch_rows(kinds: list[Any]) -> int:
    """Return the number of rows to ask for at once: about ``BATCH_BYTES``, or a vector when their width is not known.

    A row of text can take any number of bytes: what DuckDB is asked for at once must fit into memory at its widest.
    """
    widths = [_WIDTHS.get(kind.id) for kind in kinds]
    if None in widths:
        return _CHUNK
    return max(BATCH_BYTES // max(sum(widths), 1) // _CHUNK, 1) * _CHUNK  # type: ignore[arg-type]


def _sized(rows: Any, pa: Any) -> Iterator[Any]:
    """Yield the same rows in batches of about ``BATCH_BYTES``: narrow ones are gathered, wide ones cut."""
    held: list[Any] = []
    size = 0
    for batch in rows:
        if held and size + batch.nbytes > BATCH_BYTES:
            yield pa.concat_batches(held)
            held, size = [], 0
        held.append(batch)
        size += batch.nbytes
        if size >= BATCH_BYTES // 2:
            whole = held[0] if len(held) == 1 else pa.concat_batches(held)
            step = whole.num_rows if size <= 2 * BATCH_BYTES else max(whole.num_rows * BATCH_BYTES // size, 1)
            yield from (whole.slice(start, step) for start in range(0, whole.num_rows, step))
            held, size = [], 0
    if held:
        yield pa.concat_batches(held)


def _check_kind(column: str, kind: Any) -> None:
    """Refuse a type that Arrow would carry as something else without a word."""
    if kind.id in _NOT_CARRIED:
        raise Refused(f'the column "{column}" is of type {kind}, which cannot be carried exactly; cast it')
    if kind.id in _NESTED:
        for _, child in kind.children:
            if not isinstance(child, int):  # the length of a fixed-size list
                _check_kind(column, child)


def _uuids(column: Any, pa: Any) -> Any:
    """Return a column of UUIDs in their 16-byte form from their text."""
    told = [None if text is None else bytes.fromhex(text.replace("-", "")) for text in column.to_pylist()]
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(told, pa.binary(16)))


def _restored(rows: Any, kinds: list[Any], pa: Any) -> tuple[Any, Any]:
    """Return (schema, function over batches) that gives JSON and UUID columns, which come as text, their type back."""
    makers = {
        "json": lambda column: pa.ExtensionArray.from_storage(pa.json_(), column),
        "uuid": lambda column: _uuids(column, pa),
    }
    wanted = {place: str(kind).lower() for place, kind in enumerate(kinds) if str(kind).lower() in makers}
    if not wanted:
        return rows.schema, lambda batch: batch
    schema = rows.schema
    for place, kind in wanted.items():
        made = pa.json_() if kind == "json" else pa.uuid()
        schema = schema.set(place, pa.field(schema.field(place).name, made))

    def restore(batch: Any) -> Any:
        columns = list(batch.columns)
        for place, kind in wanted.items():
            columns[place] = makers[kind](columns[place])
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    return schema, restore


def _execute(sql: str, job: dict[str, Any], connection: Any) -> list[Any]:
    """Execute one SELECT and return DuckDB's types of its columns, all of which can be carried."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1 or statements[0].type.name != "SELECT":
        raise Refused("only one SELECT runs here")
    statement = statements[0]
    used = {name.lower() for name in statement.named_parameters}
    params = {name: decode(value) for name, value in job["params"].items() if name.lower() in used}
    connection.execute(statement, params or None)
    kinds = [column[1] for column in connection.description]
    for column, kind in zip(connection.description, kinds, strict=True):
        _check_kind(column[0], kind)
    return kinds


def _types(job: dict[str, Any], connection: Any, schemas: list[Any], pa: Any) -> str:
    """Return the types that ``job["types"]`` gives, as an Arrow schema in base64; no row is read for it."""
    for name, schema in zip(job["inputs"], schemas, strict=True):
        connection.register(name, pa.RecordBatchReader.from_batches(schema, []).__arrow_c_stream__())
    kinds = _execute(job["types"], job, connection)
    schema, _ = _restored(connection.to_arrow_reader(1), kinds, pa)
    return base64.b64encode(schema.serialize()).decode()


def _run(job: dict[str, Any], connection: Any, asked: dict[str, Any], control: BinaryIO) -> int:
    import pyarrow as pa

    output = asked["output"]
    sources = [
        pa.ipc.open_stream(os.fdopen(number, "rb")) for _, number in zip(job["inputs"], asked["inputs"], strict=False)
    ]
    if job["types"]:
        _say(control, types=_types(job, connection, [source.schema for source in sources], pa))
    for name, source in zip(job["inputs"], sources, strict=True):
        connection.register(name, source.__arrow_c_stream__())
    kinds = _execute(job["sql"], job, connection)
    rows = connection.to_arrow_reader(_batch_rows(kinds))
    schema, restore = _restored(rows, kinds, pa)
    count = 0
    with os.fdopen(output, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in _sized(rows, pa):
            writer.write_batch(restore(batch))
            count += batch.num_rows
    return count


def _attempt(what: Callable[[], object]) -> bool:
    """Return True when ``what`` is refused."""
    try:
        what()
    except ValueError:  # what setrlimit makes of EPERM
        return True
    except OSError as fault:
        return fault.errno in {errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENOSYS, errno.EROFS}
    return False


def _probe(asked: dict[str, Any], secret: dict[str, Any]) -> dict[str, bool]:
    """Try to break out in each way we know; return way → refused."""
    import confine

    def write(path: str) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))

    def fork() -> None:
        if os.fork() == 0:  # noqa: TID251 - the attempt must fail
            os._exit(0)

    tried = {
        f"{kind}": _attempt(lambda path=path: os.close(os.open(path, os.O_RDONLY)))  # type: ignore[misc]
        for kind, path in {"read": "/etc/passwd", "file": secret["file"], "parent": f"/proc/{secret['pid']}/mem",
                           "proc": "/proc/self/environ", "python": os.__file__}.items()
    }  # fmt: skip
    tried |= {
        "list": _attempt(lambda: os.listdir("/proc")),  # noqa: PTH208 - the same
        "write": all(_attempt(lambda path=path: write(path)) for path in ("/probe", "/tmp/probe", "/var/tmp/probe")),  # type: ignore[misc]  # noqa: S108
        "fork": _attempt(fork),
        "exec": _attempt(lambda: os.execv(sys.executable, ["python", "-c", ""])),  # noqa: S606
        "signal": _attempt(lambda: os.kill(secret["pid"], 0)),
        "code": _attempt(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)),
        "environ": set(os.environ) <= set(asked["environ"]) | {"PWD", "LC_CTYPE"},
        "limits": _attempt(lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0))),
        "spill": not asked["spill"] or not _attempt(lambda: write(asked["spill"] + "/probe")),  # the control: it works
    }
    # Six words of ones: no call does anything with them, so one that gets through is told, not felt (ptrace(0) would
    # stop this process at its next signal).
    for name, number in confine.forbidden().items():
        tried[name] = _attempt(lambda number=number, name=name: confine.call(name, number, *[-1] * 6))  # type: ignore[misc]
    return tried


def _work(asked: dict[str, Any], control: BinaryIO) -> dict[str, object]:
    try:
        import pyarrow as pa  # noqa: F401 - all code is loaded before the walls stand: none can be loaded after

        connection = _open(asked)
        layers = _confine(asked)
    except Exception as fault:  # noqa: BLE001 - whatever it is, no user text is read
        return {"error": {"kind": "jail_unavailable", "message": explain(str(fault), 0)[1]}}
    _say(control, ready=layers)
    with os.fdopen(asked["job"], "rb") as pipe:
        text = pipe.read()
    if not text:
        return {"error": {"kind": "failed", "message": "no program came"}}
    job = json.loads(text)
    try:
        if "probe" in job:
            return {"probe": _probe(asked, job["probe"])}
        return {"ok": _run(job, connection, asked, control)}
    except BrokenPipeError:
        return {"error": {"kind": "failed", "message": "nobody reads the result"}}
    except MemoryError:
        kind, message = explain("Out of Memory Error: ", asked["memory_mb"])
    except Refused as fault:
        kind, message = "failed", str(fault)
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is told in one line on the other side
        kind, message = explain(str(fault), asked["memory_mb"])
    return {"error": {"kind": kind, "message": message}}


def main() -> None:
    """Read what is asked from the command line (numbers, paths, limits: never user text), confine, work, leave."""
    asked = json.loads(sys.argv[1])
    sys.dont_write_bytecode = True
    sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), *asked["path"]]  # noqa: PTH100, PTH120
    # What is not bound into the jail must not be half-found in the fallback tier either.
    sys.modules.update({"numpy": None, "pandas": None})  # type: ignore[dict-item]
    if asked["parent"]:
        import confine

        confine.follow_parent(asked["parent"])
    with os.fdopen(asked["control"], "wb") as control:
        _say(control, **_work(asked, control))
    os._exit(0)  # nothing of ours is left to tidy up, and tearing the engine down takes time


if __name__ == "__main__":
    main()
