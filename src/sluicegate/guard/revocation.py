"""What makes access tokens void before they expire: marks, kept in memory on every node and fed from the store.

A token carries the number of the newest mark when it was made (``epo``). It is void when a mark on everybody, its
tenant or its user is newer, or one on its family's having switched to another tenant, or when its own id or family is
marked: the strictest always wins (SEC-T10).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import SluiceError, Unavailable
from sluicegate.base.log import Log, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.crypto.token import Claims
    from sluicegate.store.marks import Mark
    from sluicegate.store.scope import System

BEAT: Final = 1.0
"""Seconds between two looks at the store when nothing is announced."""
STALE: Final = 30.0
"""Seconds without news after which nothing may be changed (SEC-T11)."""
FEED: Final = "revocation.feed"
"""The feed's name in the log."""
_PURGE: Final = 3600.0


class Revocation:
    """The marks, as this node knows them. Safe to share between threads."""

    def __init__(self, system: System, now: clock.Clock = clock.system) -> None:
        """Know nothing before ``pull``."""
        self._system, self._now = system, now
        self._marked, self._pulled = system.database.marked, -1
        self._seq, self._everybody, self._fresh = 0, 0, float("-inf")
        self._tenants: dict[str, int] = {}
        self._users: dict[str, int] = {}
        self._switched: dict[str, tuple[int, float]] = {}  # families, by which mark, and until when it matters
        self._over: dict[str, float] = {}  # ids of tokens and families, and until when they matter
        self._lock = threading.Lock()
        self._log, self._silent = Log(), False
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.on_keys: Callable[[], None] = lambda: None
        """Called when the signing keys have changed."""
        self.on_seal: Callable[[str], None] = lambda _what: None
        """Called when another node has changed the seal (``root``) or closed it (``close``)."""
        self.on_rules: Callable[[str], None] = lambda _subject: None
        """Called when the rules of a tenant or user have changed."""
        self.on_marks: Callable[[], None] = lambda: None
        """Called when marks have been taken in: who waits looks whether they still may."""
        self.on_hour: Callable[[], None] = lambda: None
        """Called each hour while the feed is followed."""

    def newest(self) -> int:
        """Return the number of the newest mark, read from the store: what a token made now carries.

        Read it *before* what the token is made from. Then a change that comes between the two makes the token void.
        """
        return self._system.marks().last()

    def holds(self, claims: Claims) -> bool:
        """Tell whether no mark forbids a token. What this process has marked counts at once."""
        if self._pulled != self._system.database.marks or self._marked.is_set():
            self.pull()
        switched, _ = self._switched.get(claims.sid, (0, 0.0))
        newest = max(self._everybody, self._tenants.get(claims.tid or "", 0), self._users.get(claims.sub, 0), switched)
        return newest <= claims.epo and claims.jti not in self._over and claims.sid not in self._over

    def require_fresh(self) -> None:
        """Raise ``Unavailable`` when nothing has been heard for so long that a change cannot be allowed (SEC-T11)."""
        if self._now() - self._fresh > STALE:
            raise Unavailable(
                "It is not known whether sign-ins have been ended, so nothing is changed.",
                hint="Try again when the store answers.",
            )

    def pull(self) -> None:
        """Read the marks that are new. Raises ``Unavailable``."""
        with self._lock:
            self._marked.clear()  # before reading: a mark that comes now sets it again
            ours, before = self._system.database.marks, self._seq
            while found := self._system.marks().since(self._seq):
                for mark in found:
                    self._take(mark)
            self._fresh = self._now()
            if self._silent:
                self._silent = False
                self._log("It is known again which sign-ins have been ended; changes are taken.", action=FEED)
            self._pulled = ours  # last: until then, whoever asks waits for what is being read
        if self._seq != before:
            self.on_marks()

    def _take(self, mark: Mark) -> None:
        self._seq = mark.seq
        if mark.kind == "all":
            self._everybody = mark.seq
        elif mark.kind == "tenant":
            self._tenants[mark.subject] = mark.seq
            self.on_rules(mark.subject)  # a new policy makes all tokens of its tenant void
        elif mark.kind == "user":
            self._users[mark.subject] = mark.seq
        elif mark.kind == "switch":
            self._switched[mark.subject] = mark.seq, mark.value
        elif mark.kind == "keys":
            self.on_seal(mark.subject) if mark.subject else self.on_keys()
        elif mark.kind == "rules":
            self.on_rules(mark.subject)
        elif mark.value > self._now():
            self._over[mark.subject] = mark.value

    # -- the feed ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Read all marks, then follow them in the background until ``close``."""
        self.pull()
        self._stop.clear()
        for work in (self._listen, self._follow):
            thread = threading.Thread(target=work, name=f"marks-{work.__name__.strip('_')}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """End the background work."""
        self._stop.set()
        self._marked.set()  # wakes the follower
        for thread in self._threads:
            thread.join(5)
        self._threads.clear()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                self._system.database.watch(self._stop)
            except SluiceError:
                self._stop.wait(BEAT)  # the follower looks by itself meanwhile

    def _follow(self) -> None:
        purged = self._now()
        while not self._stop.is_set():
            self._marked.wait(BEAT)
            if self._stop.is_set():
                return
            try:
                self.pull()
                if self._now() - purged > _PURGE:
                    purged = self._now()
                    self._system.marks().purge()
                    self._forget()
                    self.on_hour()
            except Exception as fault:  # noqa: BLE001 - whatever it was: without this thread nothing would be changed again
                self._complain(fault)
                self._stop.wait(BEAT)

    def _complain(self, fault: Exception) -> None:
        """Write down what went wrong: a silence of the store once, when changes are refused for it (SEC-T11)."""
        if not isinstance(fault, SluiceError):
            self._log("Following ended sign-ins failed unexpectedly.", level="error", action=FEED, trace=trace(fault))
        with self._lock:
            if not self._silent and self._now() - self._fresh > STALE:
                self._silent = True
                told = "It is not known which sign-ins have been ended: nothing is changed until the store answers."
                self._log(told, level="error", action=FEED)

    def _forget(self) -> None:
        with self._lock:
            now = self._now()
            self._over = {name: until for name, until in self._over.items() if until > now}
            self._switched = {name: mark for name, mark in self._switched.items() if mark[1] > now}
