"""Passwords: what a new one must be, and how it is kept.

Length first (SP 800-63B-4): no composition rules, no expiry, no truncation. A refusal says why, and never repeats what
it refuses. All lists lie on this machine: nothing is asked elsewhere.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sluicegate.base.errors import Invalid, Throttled
from sluicegate.base.secret import Secret
from sluicegate.crypto import password
from sluicegate.crypto.hashset import HashSet, read_lines, write
from sluicegate.crypto.keys import Key, derive
from sluicegate.guard import patterns

if TYPE_CHECKING:
    from typing import IO

    from sluicegate.base.settings import Settings

ALONE, LEAST, MOST = 15, 12, 256
"""Characters of a password that is the only factor; beside a second one; at the most."""
ROWS: Final = 6
"""Characters that must count when rows of keys and sequences count as one …"""
ENOUGH: Final = 8
"""… and when names and common words count for little, too."""
DISTINCT: Final = 5
HASHES_MAX: Final = 2
"""Passwords hashed at once: each takes the memory that ``passwords.memory`` says (SEC-A02)."""
PATIENCE: Final = 20.0
"""Seconds that one waits for its turn."""
PRODUCT: Final = ("sluicegate", "sluice")
COMMON = Path(__file__).parent / "data" / "common-passwords.bin"
BREACHED: Final = "breached-passwords.bin"
"""The list that the operator imported, in ``SLUICE_HOME``."""


class Passwords:
    """Judges and hashes passwords; the lists are opened when they are first needed."""

    def __init__(self, root: Key, settings: Settings) -> None:
        """Derive the pepper from ``root``."""
        self._pepper = derive(root, "password-pepper")
        self._cost = password.Cost(memory=settings.passwords.memory, passes=settings.passwords.rounds)
        self._slots = threading.BoundedSemaphore(HASHES_MAX)
        self._common: HashSet | None = None
        self._breached = Breached(settings.home)

    # -- hashing -------------------------------------------------------------------------------------------------------

    def hash(self, given: Secret) -> str:
        """Return the text to store."""
        with self._turn():
            return password.hash_password(given, self._pepper, cost=self._cost)

    def verify(self, stored: str, given: Secret) -> bool:
        """Tell whether ``stored`` was made from ``given``. Raises ``Corrupt``, or ``Throttled`` when too many wait."""
        with self._turn():
            return password.verify_password(stored, given, self._pepper)

    def burn(self, given: Secret) -> None:
        """Spend the work of ``verify`` for somebody who is not there."""
        with self._turn():
            password.burn(given, self._pepper, cost=self._cost)

    def is_stale(self, stored: str) -> bool:
        """Tell whether ``stored`` was made at another cost than today's."""
        return password.needs_rehash(stored, cost=self._cost)

    def make(self) -> tuple[Secret, str]:
        """Return a one-time password and its hash."""
        made = password.new_password()
        return made, self.hash(made)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._slots.acquire(timeout=PATIENCE):
            raise Throttled("Too many passwords are being checked at once.", after=PATIENCE)
        try:
            yield
        finally:
            self._slots.release()

    # -- what a new one must be ----------------------------------------------------------------------------------------

    def check(
        self,
        given: Secret,
        *,
        factor: bool,
        names: Iterable[str] = (),
        old: Secret | None = None,
        where: str = "",
        least: int = ALONE,
    ) -> None:
        """Refuse a new password that is short or easily guessed. Raises ``Invalid`` with the reason, never with it.

        ``factor``: whether a second factor stands beside it. ``names``: of the person, their address and tenant.
        ``old``: the one it replaces. ``where``: the field it was given in. ``least``: how long the tenant wants it.
        """
        if old is not None and _plain(old) == _plain(given):
            raise Invalid("the new password is the old one", where=where)
        if (
            why := self._fault(given, max(LEAST, least - ALONE + LEAST) if factor else max(ALONE, least), names)
        ) is not None:
            raise Invalid(why, where=where, hint="A few words in a row do well, such as a picture that only you see.")

    def _fault(self, given: Secret, least: int, names: Iterable[str]) -> str | None:
        """Return what is wrong with a password. What costs least to find is looked for first."""
        text = _plain(given)
        if not least <= len(text) <= MOST:
            return f"a password has {least} to {MOST} characters"
        categories = {unicodedata.category(each) for each in text}
        if "Cs" in categories:
            return "this password holds half a character, which no keyboard gives"
        if "Cn" in categories:
            # Its normal form is not settled: with a later Unicode it could become another password.
            return "this password holds a character that is not in Unicode, or too new for this version"
        if len(set(text.casefold())) < DISTINCT:
            return "this password repeats too few characters"
        if patterns.period(text) < least:
            return "this password repeats itself: what is repeated counts once, and is too short"
        weight = patterns.weigh(text)
        if weight < ROWS:
            return "this password is mostly rows of keys, sequences or repeats"
        known = {part for name in (*PRODUCT, *names) for part in patterns.parts(name)}
        if patterns.weigh(text, names=known) < min(ENOUGH, weight):
            return "this password is mostly your name, your address, your tenant's name or the product's"
        return self._listed(text, known, weight)

    def _listed(self, text: str, known: Iterable[str], weight: int) -> str | None:
        if self._common is None:
            self._common = HashSet(COMMON)
        common, folded = self._common, fold(text)
        core = folded.strip("".join(each for each in set(folded) if not each.isalpha()))
        if folded in common or (len(core) >= max(patterns.WORD_MIN, len(folded) // 2) and core in common):
            return "this password is on the list of common passwords, or next to one that is"
        if patterns.weigh(text, names=known, is_word=common.__contains__) < min(ENOUGH, weight):
            return "this password is a common password with little added"
        if text in self._breached:
            return "this password was in another service's breach: whoever guesses tries it first"
        return None


class Breached:
    """The operator's list, as it lies in ``SLUICE_HOME``: a new one is seen at the next look-up, without a restart."""

    def __init__(self, home: Path) -> None:
        """Remember where it lies; it need not be there."""
        self.file = home / BREACHED
        self._open: HashSet | None = None
        self._mark: tuple[int, ...] = ()
        self._lock = threading.Lock()

    def __contains__(self, text: object) -> bool:
        """Tell whether the list holds ``text``. Raises ``Corrupt`` when it is damaged: nothing is let through."""
        found = self.open()
        return found is not None and text in found

    def open(self) -> HashSet | None:
        """Return the list, or ``None`` when none has been imported."""
        with self._lock:
            try:
                told = self.file.stat()
            except FileNotFoundError:
                self._open, self._mark = None, ()
                return None
            mark = (told.st_ino, told.st_mtime_ns, told.st_size)
            if mark != self._mark:
                self._open, self._mark = HashSet(self.file), mark
            return self._open

    def load(self, stream: IO[bytes], name: str) -> int:
        """Take the place of the list by the sorted SHA-1 hashes in ``stream``, all of them or none; return how many.

        Raises ``Invalid`` that names the line of ``name``.
        """
        return write(read_lines(stream, name), self.file)


def fold(text: str) -> str:
    """Return the one form in which common passwords are listed."""
    return text.casefold()


def _plain(given: Secret) -> str:
    """Return a password in the form that is judged and hashed: one, on whatever keyboard it was typed."""
    return unicodedata.normalize("NFC", given.reveal())
