"""The audit trail: who did what, from where, and how it ended. A record that cannot be written fails the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Unavailable
from sluicegate.base.principal import Peer, Principal, Role, Via

if TYPE_CHECKING:
    from sluicegate.crypto.chain import Chain
    from sluicegate.store.ledger import Ledger
    from sluicegate.store.scope import System


@dataclass(frozen=True)
class Record:
    """A call that has begun."""

    tenant: str
    body: Mapping[str, Any]


class Audit:
    """Appends to one chain a tenant, and one for what has no tenant (``""``)."""

    def __init__(self, system: System, chain: Chain, now: Callable[[], float] = clock.system) -> None:
        """Write through ``system``; ``chain`` links each record to the one before."""
        self._system = system
        self._chain = chain
        self._now = now

    def event(
        self,
        action: str,
        who: Principal | None,
        peer: Peer | None,
        result: str,
        about: Mapping[str, Any],
        *,
        tenant: str | None = None,
    ) -> None:
        """Write one record. Raises ``Unavailable`` when it cannot be written."""
        owner = tenant or (who.tenant if who else None) or ""
        body: dict[str, Any] = {
            "at": clock.iso(self._now()),
            "action": action,
            "result": result,
            "who": who.id if who else None,
            "role": who.role.value if who else None,
            "via": who.via.value if who else None,
            "support": (who.support or None) if who else None,
            "address": peer.address if peer else None,
            "client": peer.client[:200] if peer else None,
            "request": peer.request if peer else None,
            "about": dict(about),
        }
        self._append(owner, {key: value for key, value in body.items() if value not in (None, {})})

    def begin(self, action: str, who: Principal | None, peer: Peer, about: Mapping[str, Any]) -> Record:
        """Write that a call is asked for; nothing has happened yet."""
        self.event(action, who, peer, "asked", about)
        body = {"action": action, "who": who, "peer": peer, "about": dict(about)}
        return Record((who.tenant if who else None) or "", body)

    def end(self, record: Record, result: str, more: Mapping[str, Any] | None = None) -> None:
        """Write how the call ended. Raises ``Unavailable`` when that cannot be written: it is over all the same."""
        said = record.body
        about = {**said["about"], **(more or {})}
        try:
            self.event(said["action"], said["who"], said["peer"], result, about, tenant=record.tenant or None)
        except Unavailable as fault:
            raise Unavailable(
                "The audit trail cannot be written any more; what was asked may have been done.",
                hint="Look before you ask again.",
            ) from fault

    def denied(self, action: str, who: Principal, peer: Peer, about: Mapping[str, Any]) -> None:
        """Write that somebody was not allowed to."""
        self.event(action, who, peer, "denied", about)

    def verify(self, tenant: str) -> int | None:
        """Return the number of the first record whose link does not hold, ``None`` when all do."""
        records = ((body, link) for _, body, link in self._ledger(tenant).all())
        bad = self._chain.verify(records)
        return None if bad is None else bad + 1  # records are numbered from 1

    def check(self) -> None:
        """Verify the chain of the installation itself; ``Corrupt`` names the first bad record."""
        bad = self.verify("")
        if bad is not None:
            raise Corrupt(
                f"The audit trail does not verify from record {bad} on.",
                hint="Restore it from a backup; see docs/security.",
            )

    def _ledger(self, tenant: str) -> Ledger:
        from sluicegate.store.scope import Scope

        if not tenant:
            return self._system.ledger()
        return Scope(self._system.database, tenant, Principal("system", tenant, Role.API_USER, Via.SYSTEM)).ledger()

    def _append(self, tenant: str, body: dict[str, Any]) -> None:
        try:
            self._ledger(tenant).append(body, self._chain.link)
        except Exception as fault:
            raise Unavailable("The audit trail cannot be written, so nothing was done.") from fault
