"""The answers of one item as one stream of bytes: as they come, or the rows of all pages as one JSON array."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from sluicegate.base.errors import DataError, Failed, SluiceError
from sluicegate.connectors.http.paging import Paging, Seen, after, begin, records
from sluicegate.kit import objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.connectors.http.asking import Asker, Spot


class Stream(io.RawIOBase):
    """Parts that come one by one, as a file; the next one is asked for when it is read."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        """Hold the parts."""
        super().__init__()
        self._parts, self._held = parts, memoryview(b"")

    @classmethod
    def of(cls, parts: Iterator[bytes]) -> BinaryIO:
        """Return the file, its first part read: what is wrong from the start is told now."""
        made = cls(parts)
        made._more()
        return cast("BinaryIO", io.BufferedReader(made, 1 << 18))

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill ``buffer`` as far as the part at hand goes; 0 at the end."""
        if not self._held:
            self._more()
        view = memoryview(buffer).cast("B")
        taken = min(len(view), len(self._held))
        view[:taken], self._held = self._held[:taken], self._held[taken:]
        return taken

    def close(self) -> None:
        """Ask for no more."""
        if not self.closed:
            getattr(self._parts, "close", lambda: None)()
        super().close()

    def _more(self) -> None:
        self._held = memoryview(next((part for part in self._parts if part), b""))


def raw(asker: Asker, spot: Spot, what: str) -> Iterator[bytes]:
    """Yield one answer as it comes."""
    response = asker.open(spot, what)
    try:
        yield from response.parts
    finally:
        response.close()


class Pages:
    """The rows of all pages of one item."""

    def __init__(self, asker: Asker, paging: Paging, at: str, what: str) -> None:
        """``at``: where the rows lie in a page; ``what``: the item, for messages."""
        self._asker, self._paging, self._at, self._what = asker, paging, at, what

    def parts(self, spot: Spot) -> Iterator[bytes]:
        """Yield one JSON array, page by page, one row a line. ``DataError`` for a page that is no good."""
        here: Spot | None = begin(self._paging, spot)
        number, before, last, been = 0, 0, b"", set[str]()
        mark = b"["
        while here is not None:
            where = f"{self._what}: page {number + 1}"
            if number >= self._asker.max_pages:
                raise Failed(f"There are more than {number} pages.", where=self._what, hint="Raise limits.pages.")
            if here.target() in been:
                raise DataError("The pages lead in a circle.", where=where, hint="Check 'paging'.")
            been.add(here.target())
            reply = self._asker.page(here, self._what)
            try:
                answer = objects.parse(reply.body)
                rows = records(answer, self._at, where)
                text = b",\n".join(map(objects.dump, rows))
            except (ValueError, TypeError) as fault:
                reason = str(fault) if isinstance(fault, ValueError) else "not JSON: a lone surrogate"
                raise DataError(f"The answer is {reason}.", where=where) from None
            if text and text == last and self._paging.type in ("page", "offset"):
                raise DataError(
                    "The page is the same as the one before.",
                    where=where,
                    hint=f"Does the API heed the parameter {self._paging.param!r}?",
                )
            seen = Seen(answer, reply.headers, len(rows), before, number)
            try:
                here = after(self._paging, seen, here, self._asker.origin)
            except SluiceError as fault:
                raise fault.at(where) from None
            number, before, last = number + 1, before + len(rows), text
            if text:
                yield mark + text
                mark = b",\n"
        self._asker.say("all pages read", item=self._what, pages=number, rows=before)
        yield b"[]\n" if mark == b"[" else b"]\n"
