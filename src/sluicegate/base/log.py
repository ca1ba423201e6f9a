"""The server's own log: one JSON object a line on stderr, in the field names of ECS. Every value is encoded here."""

from __future__ import annotations

import json
import math
import sys
import threading
import traceback
from typing import Any, TextIO

from sluicegate.base import clock
from sluicegate.base.secret import MASK, Secret, hide_tokens

_VALUE_MAX = 2000
_FIELDS = {
    "request": "http.request.id",
    "method": "http.request.method",
    "path": "url.path",
    "status": "http.response.status_code",
    "seconds": "event.duration",
    "peer": "client.address",
    "who": "user.id",
    "tenant": "organization.id",
    "run": "sluice.run",
    "code": "error.code",
    "error": "error.message",
    "trace": "error.stack_trace",
    "action": "event.action",
}


class Log:
    """Writes lines. Field names are an allowlist, so that nothing unforeseen is logged (SEC-L04)."""

    def __init__(self, out: TextIO | None = None) -> None:
        """Write to ``out``, stderr by default."""
        self._out = out or sys.stderr
        self._lock = threading.Lock()

    def __call__(self, message: str, /, level: str = "info", **fields: object) -> None:
        """Write one line; unknown fields are dropped."""
        line: dict[str, Any] = {"@timestamp": clock.iso(clock.system()), "log.level": level, "message": _plain(message)}
        line |= {_FIELDS[key]: _plain(value) for key, value in fields.items() if key in _FIELDS and value is not None}
        text = json.dumps(line, ensure_ascii=True)
        with self._lock:
            self._out.write(text + "\n")
            self._out.flush()


def trace(fault: BaseException) -> str:
    """Return where a fault came from, innermost last, without its text: that can hold rows or secrets."""
    text = ""
    seen: BaseException | None = fault
    while seen is not None:
        text = f"{''.join(traceback.format_tb(seen.__traceback__))}{type(seen).__name__}\n{text}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return text[-_VALUE_MAX:]


def _plain(value: object) -> object:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return hide_tokens(str(value)[:_VALUE_MAX])
