"""What a child writes to its standard error: read while it runs, so that it never waits; only the end is kept."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable
from typing import BinaryIO
from urllib.parse import quote

from sluicegate.base.secret import MASK, Secret

TAIL = 16 << 10
"""Bytes that are kept."""
_PART = 1 << 16
_LATE = 2.0  # seconds: a grandchild can hold the pipe open
_WORD = 4  # letters: shorter lines of a longer secret give nothing away


class Drain:
    """Reads a pipe to its end in a thread of its own."""

    def __init__(self, pipe: BinaryIO, secrets: Iterable[Secret]) -> None:
        """Begin. What ``text`` returns holds none of ``secrets``."""
        self._pipe = pipe
        self._words = sorted({word for each in secrets for word in _forms(each.reveal())}, key=len, reverse=True)
        self._tail = b""
        self._thread = threading.Thread(target=self._read, name="task-stderr", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return the last lines, once the child is gone.

        A line that began before them is left out: what is left of it could begin in the middle of a secret.
        """
        self._thread.join(_LATE)
        tail = self._tail
        if len(tail) > TAIL:
            tail = tail[-TAIL:].partition(b"\n")[2]
        text = tail.decode(errors="replace")
        for word in self._words:
            text = text.replace(word, MASK)
        return text.strip()

    def _read(self) -> None:
        with self._pipe:
            while part := self._pipe.read1(_PART):  # type: ignore[attr-defined] # Popen gives a BufferedReader
                self._tail = (self._tail + part)[-TAIL - 1 :]


def _forms(secret: str) -> Iterable[str]:
    """Return a secret in the forms that errors of drivers and libraries show it in."""
    whole = [secret, *(line for line in secret.splitlines() if len(line) >= _WORD)]
    for each in whole:
        raw = each.encode()
        coded = (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex())
        yield from filter(None, (each, repr(each)[1:-1], json.dumps(each)[1:-1], quote(each), quote(each, ""), *coded))
