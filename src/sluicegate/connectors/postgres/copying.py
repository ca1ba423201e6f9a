"""COPY … TO STDOUT in blocks of whole rows.

The server sends a message a row, and psycopg's own reader goes through its event loop for each; here libpq is asked
directly while it has any, and the loop waits only when it has none. That is what makes reading as fast as psql.
"""

from __future__ import annotations

from contextlib import closing
from itertools import repeat
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Cancelled, DataError
from sluicegate.kit.rows import BATCH_BYTES, Parcel

if TYPE_CHECKING:
    from collections.abc import Generator

    import psycopg

    from sluicegate.kit.context import Context

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Signature; no flags, no extension (PostgreSQL's documentation, COPY, "Binary Format")."""
_TRAILER = b"\xff\xff"
_BLINK = 500  # milliseconds between two looks at ``cancelled``


def copy_out(
    link: psycopg.Connection[Any], query: str, ctx: Context, where: str, *, binary: bool = False
) -> Generator[Parcel]:
    """Yield the rows of ``query`` as CSV lines, or in COPY's binary form without its header and trailer.

    Parcels have about ``BATCH_BYTES``. Raises ``Cancelled``, the driver's errors, and ``DataError`` when not all rows
    that the server counts have arrived.
    """
    form, seen, begun, sent = "binary" if binary else "csv", 0, not binary, None
    with closing(_messages(link, f"copy ({query}) to stdout (format {form})", ctx, where)) as messages:
        while True:
            try:
                held = next(messages)
            except StopIteration as end:
                sent = end.value
                break
            data = b"".join(held)
            if not begun:
                if not data.startswith(_HEADER):
                    raise DataError("The database sends rows in a form that is not known.", where=where)
                data, begun = data[len(_HEADER) :], True
            seen += len(held)
            if binary and (held[-1] == _TRAILER or data == _TRAILER):  # an empty table's comes with the header
                data, seen = data[: -len(_TRAILER)], seen - 1
                held.pop()
            if data:
                yield Parcel(data, len(held))
    if sent != seen:
        raise DataError(f"The database sent {sent} rows and {seen} arrived.", where=where)


def _messages(
    link: psycopg.Connection[Any], sql: str, ctx: Context, where: str
) -> Generator[list[memoryview], None, int | None]:
    """Yield what the server sends, a message a row, about ``BATCH_BYTES`` at a time; return how many rows it counts."""
    from psycopg.errors import error_from_result
    from psycopg.pq import ExecStatus

    server = link.pgconn
    with link.cursor() as cursor, cursor.copy(sql.encode()):  # leaving it early tells the server to stop
        held, size, count = list[memoryview](), 0, 0
        waiting = poll()
        waiting.register(server.socket, POLLIN)
        while count >= 0:
            for count, message in map(server.get_copy_data, repeat(1)):  # the fastest loop there is
                if count <= 0:
                    break
                held.append(message)
                size += count
                if size >= BATCH_BYTES:
                    _look(ctx, where)
                    yield held
                    held, size = [], 0
            if count == 0:
                while not waiting.poll(_BLINK):
                    _look(ctx, where)
                server.consume_input()
        last = None  # of the results; before the last rows go out, so that psycopg finds the connection in order
        while (result := server.get_result()) is not None:
            last = result
        if last is None or last.status != ExecStatus.COMMAND_OK:
            raise error_from_result(last, encoding="utf-8") if last else DataError("No end came.", where=where)
        if held:
            _look(ctx, where)
            yield held
    return last.command_tuples


def _look(ctx: Context, where: str) -> None:
    if ctx.cancelled():
        raise Cancelled("Cancelled while reading.", where=where)
