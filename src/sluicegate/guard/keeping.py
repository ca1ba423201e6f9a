"""How long what is kept of rows lives: a key for each week, and a calendar that mistrusts a clock that jumps.

What is kept of a run is under the key of the week in which the run was made. When a week is past its days, its key is
destroyed: a copy of what was under it, wherever it lies, is of no use then (SEC-B02).
"""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Missing
from sluicegate.base.model import made_at
from sluicegate.guard.vault import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sluicegate.guard.audit import Audit
    from sluicegate.store.scope import Blobs, Scope

DAY: Final = 86400.0
_WEEK: Final = 7 * DAY
_JUMP: Final = 3600.0
"""Seconds that the clock may run ahead of the machine's own between two looks."""
_AWAY: Final = DAY
"""Seconds that a start may lie after the last time that was believed: later, its clock may be wrong."""
_KEPT: Final = "calendar"
_NAME: Final = re.compile(r"(\d{4})-w(\d{2})")


def week(run: str) -> str:
    """Return the ISO week in which a run was made, such as ``2026-w48``. Raises ``ValueError`` when it is no id."""
    year, number, _ = datetime.fromtimestamp(made_at(run), UTC).isocalendar()
    return f"{year}-w{number:02}"


def key_of(what: str, run: str) -> str:
    """Return the name of the key that ``what`` is kept of a run under."""
    return f"{RESERVED}{what}-{week(run)}"


def destroy(
    scope: Scope, what: str, before: float, audit: Audit, held: Collection[str] = frozenset()
) -> tuple[str, ...]:
    """Destroy the keys of ``what`` whose weeks ended before ``before``, on record; return their weeks.

    Those in ``held`` stay: something is under them yet.
    """
    gone = []
    for each in scope.secrets().list():
        name, _, found = each.name.partition(f"{RESERVED}{what}-")
        matched = _NAME.fullmatch(found) if not name else None
        if matched is None or found in held:
            continue
        ended = datetime.fromisocalendar(int(matched[1]), int(matched[2]), 1).replace(tzinfo=UTC).timestamp() + _WEEK
        if ended < before:
            try:
                scope.secrets().delete(each.name)
            except Missing:  # another node was quicker
                continue
            audit.event("rows.expire", scope.who, None, "ok", {"what": what, "week": found}, tenant=scope.tenant)
            gone.append(found)
    return tuple(gone)


class Calendar:
    """Says what time it is to those who delete by it."""

    def __init__(
        self, blobs: Blobs, wall: clock.Clock = clock.system, ticks: Callable[[], float] | None = None
    ) -> None:
        """``wall`` is what people call time; ``ticks`` counts seconds since the machine started, asleep or awake.

        ``blobs`` holds, beyond a start, the time that was believed last, and since when another is doubted.
        """
        self._wall, self._ticks = wall, ticks or (lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
        self._blobs = blobs
        self._last: tuple[float, float] | None = None
        self._lock = threading.Lock()

    def now(self) -> float | None:
        """Return the time; ``None`` when the clock was set forward since the last look, or perhaps before a start.

        Whoever deletes waits for the next look then: by an hour, not by a mistake of the clock. When it still says so,
        it is taken at its word. At a start there is no other clock to hold it against: it is doubted when it is more
        than a day ahead of the last time that was believed.
        """
        with self._lock:
            wall, ticks = self._wall(), self._ticks()
            last, self._last = self._last, (wall, ticks)
            seen, doubted = json.loads(self._blobs.get(_KEPT) or b"[null, null]")
            if last is not None:
                good = (wall - last[0]) - (ticks - last[1]) <= _JUMP
            else:
                good = seen is None or wall - seen <= _AWAY or (doubted is not None and wall - doubted >= _JUMP)
            kept = [wall, None] if good else [seen, wall if doubted is None else min(doubted, wall)]
            self._blobs.put(_KEPT, json.dumps(kept).encode())
        return wall if good else None
