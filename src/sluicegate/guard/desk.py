"""What an operation is handed beside its question: the caller, the tenant's Scope, and the services behind the gate."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from sluicegate.base.errors import Denied, Invalid, Unauthenticated
from sluicegate.base.principal import Peer, Principal
from sluicegate.base.settings import HTTPS

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings
    from sluicegate.guard.apikeys import ApiKeys
    from sluicegate.guard.archives import Archives
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.factors import Factors
    from sluicegate.guard.invitations import Invitations
    from sluicegate.guard.login import Login
    from sluicegate.guard.mail import Mail
    from sluicegate.guard.nodes import Nodes
    from sluicegate.guard.notices import Notices
    from sluicegate.guard.profile import Profile
    from sluicegate.guard.quotes import Quotes
    from sluicegate.guard.recovery import Recovery
    from sluicegate.guard.revocation import Revocation
    from sluicegate.guard.rotation import Rotation
    from sluicegate.guard.rules import Rules
    from sluicegate.guard.sealing import Sealing
    from sluicegate.guard.sources import Sources
    from sluicegate.guard.sso import Sso
    from sluicegate.guard.support import Support
    from sluicegate.guard.switch import Switch
    from sluicegate.guard.tickets import Tickets
    from sluicegate.guard.tokens import Tokens
    from sluicegate.guard.vault import Vault
    from sluicegate.store.scope import Scope, System


Asked = Literal["test", "items", "preview", "explain", "detect", "rejects", "verify", "reseal"]
"""What operations may ask of a task."""


class Engine(Protocol):
    """What operations ask of the floor that runs things."""

    def start(self, run: str, scope: Scope) -> None:
        """Begin a run that the store holds as queued."""

    def cancel(self, run: str) -> None:
        """Ask a run to end soon."""

    def ask(self, scope: Scope, what: Asked, ask: Mapping[str, Any]) -> Any:
        """Have a task process do something short (test a connection, list items, preview) and return its answer."""

    def rejected(self, scope: Scope, run: str) -> Generator[bytes]:
        """Yield the rows that a run has quarantined, a line of JSON each."""

    def health(self) -> Mapping[str, Any]:
        """Say how the engine and the jail are."""


@dataclass(frozen=True)
class Services:
    """What stands behind the gate, wired once in ``app.build``."""

    settings: Settings
    system: System
    login: Login
    tokens: Tokens
    revocation: Revocation
    factors: Factors
    keys: ApiKeys
    rules: Rules
    support: Support
    switch: Switch
    vault: Vault
    sources: Sources
    rotation: Rotation
    audit: Audit
    engine: Engine
    mail: Mail
    notices: Notices
    invitations: Invitations
    recovery: Recovery
    profile: Profile
    sso: Sso
    tickets: Tickets
    archives: Archives
    sealing: Sealing
    nodes: Nodes
    quotes: Quotes

    def scope(self, tenant: str, who: Principal) -> Scope:
        """Open a tenant for somebody."""
        from sluicegate.store.scope import Scope as Opened

        return Opened(self.system.database, tenant, who)


@dataclass(frozen=True)
class Desk:
    """One call's share of the services."""

    services: Services
    peer: Peer
    principal: Principal | None
    inside: Scope | None
    key: str = ""
    """Thumbprint of the client's key, when a public operation came with a proof of it."""
    url: str = ""
    """The address that was asked."""

    @property
    def origin(self) -> str:
        """Where people reach this server: as the settings say, else how it was called, by a name and port of its own.

        ``web/headers.py`` looks at the name, unless any will do. Raises ``Invalid``: what somebody is to come back to
        is nowhere that a request alone names.
        """
        server, parts = self.services.settings.server, urlsplit(self.url)
        if server.url:
            return server.url
        if "*" in server.names or (parts.port or HTTPS) not in (HTTPS, server.port):
            raise Invalid(
                "it is not known where people reach this server: it was called by a name or port that is not its own",
                where="server.url",
                hint="Set server.url to the address that people use.",
            )
        return f"https://{parts.netloc}"

    @property
    def who(self) -> Principal:
        """Who asks; only public operations have nobody."""
        if self.principal is None:
            raise Denied("This needs somebody who has signed in.")
        return self.principal

    @property
    def bound_to(self) -> str:
        """The client's key that tokens are to be bound to; a sign-in without a proof of one is refused."""
        if not self.key:
            raise Unauthenticated("A DPoP proof (RFC 9449) of your client's key is needed.", hint="See docs/howto/api.")
        return self.key

    @property
    def scope(self) -> Scope:
        """The tenant's Scope."""
        if self.inside is None:
            raise Invalid("no tenant is chosen", hint="Run: sluice switch NAME")
        return self.inside
