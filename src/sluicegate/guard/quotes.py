"""What errors and logs of runs say of rows: sealed for the tenant, shown to who may read rows, gone after its days.

The record of a run stays: which step, line and column, and what kind of trouble. The words that quote rows are taken
out of it before it is written (SEC-B01), and kept apart under a key of the tenant's own (SEC-B02).
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sluicegate.base.errors import Corrupt, Missing, without_rows
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import new_key
from sluicegate.guard import keeping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sluicegate.crypto.keys import Key
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.vault import Vault
    from sluicegate.store.quotes import Quote
    from sluicegate.store.runs import Event, Run
    from sluicegate.store.scope import Scope

HIDDEN: Final = "People who may read rows see what is said here, as long as it is kept."
WHAT: Final = "quotes"
"""What the keys are called by."""


class Whole(NamedTuple):
    """A run and its error, as who may read rows sees it."""

    run: Run
    error: dict[str, Any] | None


def bare(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return an event without its words when they may quote rows: where and what kind (SEC-Z07)."""
    if kind == "reject":
        return {**body, "reason": HIDDEN}
    if kind == "log" and ("by" in body or body.get("level") == "error"):
        problem = without_rows({"code": body.get("code", ""), "title": str(body.get("message", ""))})
        said = HIDDEN if "by" in body else problem["title"]
        return {**{name: body[name] for name in ("level", "by", "code") if name in body}, "message": said}
    return body


def quoting(events: Iterable[Event]) -> bool:
    """Tell whether any of the events has, or had, words that may quote rows."""
    return any(bare(each.kind, each.body) is not each.body for each in events)


class Quotes:
    """Writes records of runs, and reads them for those who may read rows."""

    def __init__(self, vault: Vault, *, keep: bool = True) -> None:
        """Seal with keys from ``vault``. Without ``keep``, words that may quote rows are not written at all."""
        self._vault, self._keeps = vault, keep

    def event(self, scope: Scope, run: str, kind: str, body: dict[str, Any]) -> None:
        """Write down an event of a run, its words apart when they may quote rows. Raises ``Missing``."""
        kept = bare(kind, body)
        if kept == body:
            scope.runs().event(run, kind, body)
            return
        with scope.transaction():
            self._keep(scope, run, scope.runs().event(run, kind, kept), body)

    def error(self, scope: Scope, run: str, problem: dict[str, Any]) -> dict[str, Any]:
        """Return a run's error as it is stored with it; its words are kept apart when they may quote rows."""
        kept = without_rows(problem)
        if kept != problem:
            self._keep(scope, run, 0, problem)
        return kept

    def events(self, scope: Scope, run: str, found: Sequence[Event]) -> list[Event]:
        """Return events with all they say, as far as it is kept."""
        if not quoting(found):
            return list(found)
        said = self._read(scope, scope.quotes().events(run, found[0].seq, found[-1].seq))
        return [each._replace(body=said.get((run, each.seq), each.body)) for each in found]

    def errors(self, scope: Scope, runs: Iterable[Run]) -> list[Whole]:
        """Return runs with all that their errors say, as far as it is kept."""
        found = list(runs)
        said = self._read(scope, scope.quotes().errors(*(each.id for each in found if each.error is not None)))
        return [Whole(each, said.get((each.id, 0), each.error)) for each in found]

    def sweep(self, scope: Scope, days: float, now: float, audit: Audit) -> tuple[str, ...]:
        """Delete a tenant's quotes past their days, and destroy the keys of weeks that nothing is under any more.

        Return those weeks. Days count from when words were said; a run may say some long after the week it was made in.
        """
        before = now - days * keeping.DAY
        scope.quotes().purge(before, now)
        held = {keeping.week(run) for run in scope.quotes().runs(before)}
        return keeping.destroy(scope, WHAT, before, audit, held)

    # -- sealing -------------------------------------------------------------------------------------------------------

    def _keep(self, scope: Scope, run: str, seq: int, said: dict[str, Any]) -> None:
        """Keep what is said. A tenant whose keys do not open keeps no words: the record must still be written."""
        if not self._keeps:
            return
        name = keeping.key_of(WHAT, run)
        try:
            key = self._key(scope, name) or self._first(scope, name)
        except Corrupt:
            return
        sealed = envelope.encrypt(key, json.dumps(said).encode(), _about(scope, run, seq))
        scope.quotes().put(run, seq, sealed)

    def _read(self, scope: Scope, found: Iterable[Quote]) -> Mapping[tuple[str, int], dict[str, Any]]:
        keys: dict[str, Key | None] = {}
        said = {}
        for each in found:
            name = keeping.key_of(WHAT, each.run)
            if name not in keys:
                keys[name] = self._key(scope, name)
            key = keys[name]
            if key is None:
                continue
            try:
                plain = envelope.decrypt(key, each.sealed, _about(scope, each.run, each.seq))
            except Corrupt:  # somebody was at the store: what they put there is not shown
                continue
            said[each.run, each.seq] = json.loads(plain)
        return said

    def _first(self, scope: Scope, name: str) -> Key:
        self._vault.put_once(scope, name, _new)
        return self._vault.own_key(scope, name)

    def _key(self, scope: Scope, name: str) -> Key | None:
        try:
            return self._vault.own_key(scope, name)
        except (Missing, Corrupt):
            return None


def _new() -> Secret:
    return Secret(base64.b64encode(new_key().raw).decode())


def _about(scope: Scope, run: str, seq: int) -> tuple[str, ...]:
    return ("quote", scope.tenant, run, str(seq))
