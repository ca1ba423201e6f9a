"""The policy for TLS of connections: nothing weaker than what holds in the tenant (SEC-N03)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluicegate.base.errors import Denied

if TYPE_CHECKING:
    from sluicegate.guard.audit import Audit
    from sluicegate.kit.connection import Connection
    from sluicegate.store.scope import Scope

ORDER = ("disable", "require", "verify-ca", "verify-full")
"""From the weakest to the strongest."""


def check(connection: Connection, weakest: str) -> str | None:
    """Return the connection's ``tls`` when it is weaker than ``verify-full``. Raises ``Denied`` when it may not be."""
    mode: str = getattr(connection, "tls", ORDER[-1])
    if ORDER.index(mode) < ORDER.index(weakest):
        raise Denied(
            f"tls: {mode} is weaker than is allowed here ({weakest}).",
            where=f"connection {connection.name}",
            hint="Use a certificate that verifies (field ca), or ask an administrator about the policy weakest_tls.",
        )
    return None if mode == ORDER[-1] else mode


def admit(connection: Connection, weakest: str, audit: Audit, scope: Scope, purpose: str) -> None:
    """Check, and put on record both a refusal and the use of what is weaker than ``verify-full``."""
    about = {"connection": connection.name, "tls": getattr(connection, "tls", ""), "purpose": purpose}
    try:
        weak = check(connection, weakest)
    except Denied:
        audit.event("tls.weak", scope.who, None, "denied", about, tenant=scope.tenant)
        raise
    if weak:
        audit.event("tls.weak", scope.who, None, "ok", about, tenant=scope.tenant)
