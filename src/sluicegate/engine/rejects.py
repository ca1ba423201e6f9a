"""What happens to rows that cannot be taken: stop, leave out with a limit, or quarantine (sealed, with retention)."""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import DataError
from sluicegate.engine.tap import Tap
from sluicegate.kit.rows import OnReject, Reject

if TYPE_CHECKING:
    from sluicegate.engine.job import Job
    from sluicegate.engine.meter import Meter, Report

_SHOWN = 5


class Rejects:
    """Counts rejects by step, shows the first few reasons, and seals quarantined rows for the tenant's key."""

    def __init__(self, job: Job, report: Report, meter: Meter) -> None:
        """Nothing rejected yet."""
        self._job, self._report, self._meter = job, report, meter
        self._lock = threading.Lock()
        self._draft: Any = None
        self._out: io.RawIOBase | None = None

    def taker(self, name: str, policy: str, limit: int) -> OnReject:
        """Return what to call with each reject of a step."""
        count = self._meter.step(name)

        def take(reject: Reject) -> None:
            place = ", ".join(filter(None, (f"step {name}", reject.place())))
            if policy == "stop":
                raise DataError(
                    reject.reason, where=place, hint="Mend the row, or let the step skip or quarantine such rows."
                )
            with self._lock:
                count.rejected += 1
                if count.rejected > limit:
                    raise DataError(f"more than {limit} rows were rejected; the last: {reject.reason}", where=place)
                if count.rejected <= _SHOWN:
                    self._report("reject", {"step": name, **_told(reject)})
                if policy == "quarantine":
                    self._keep(name, reject)

        return take

    def commit(self) -> None:
        """Publish what is in quarantine."""
        if self._draft is not None and self._out is not None:
            self._out.close()
            self._draft.commit()
            self._draft = self._out = None

    def abort(self) -> None:
        """Forget what has not been committed."""
        if self._draft is not None:
            abort = getattr(self._out, "abort", None)
            if abort is not None:
                abort()
            self._draft.abort()
            self._draft = self._out = None

    def _keep(self, name: str, reject: Reject) -> None:
        if self._job.quarantine_folder is None:
            return
        if self._out is None:
            from sluicegate.crypto import seal
            from sluicegate.kit.paths import Root

            name_ = f"{self._job.run}.ndjson" + (".age" if self._job.quarantine else "")
            with Root(self._job.quarantine_folder, create=True) as root:
                self._draft = root.create(name_)
            self._out = (
                seal.seal_to([self._job.quarantine], self._draft.out) if self._job.quarantine else Tap(self._draft.out)
            )
        line: dict[str, Any] = {"step": name, **_told(reject), "raw": reject.raw}
        self._out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")


def _told(reject: Reject) -> dict[str, Any]:
    """Return where and why: the line of the source when it is known, else the row's number among the step's rows."""
    place = {"line": reject.line} if reject.row is None else {"row": reject.row}
    return {**place, "column": reject.column, "reason": reject.reason}
