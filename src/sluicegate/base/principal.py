"""Who asks, from where, and with what proof."""

from dataclasses import dataclass
from enum import StrEnum

from sluicegate.base.permission import Permission
from sluicegate.base.secret import Secret


class Role(StrEnum):
    """The six roles. Each user has exactly one; only a SuperAdmin belongs to no tenant."""

    SUPERADMIN = "superadmin"
    ADMINISTRATOR = "administrator"
    EDITOR = "editor"
    OPERATOR = "operator"
    VIEWER = "viewer"
    API_USER = "api_user"


class Via(StrEnum):
    """The way a principal came in."""

    PASSWORD = "password"  # noqa: S105 - the name of a way in
    KEY = "key"
    SYSTEM = "system"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Principal:
    """A person (or the system) that has been shown to be there."""

    id: str
    tenant: str | None
    """Id of the tenant this principal works in; ``None`` only for a SuperAdmin who is switched into none."""
    role: Role
    via: Via = Via.PASSWORD
    scopes: frozenset[Permission] | None = None
    """When set, only these permissions of the role remain: scopes narrow, never widen."""
    token: str = ""
    """The ``jti`` of the access token, for the audit log and for revocation."""
    grant: str = ""
    """The ``sid`` of the refresh family the token belongs to."""
    key: str = ""
    """Thumbprint of the client's key that the token is bound to (RFC 7638); empty when it is bound to none."""
    support: str = ""
    """Id of the support access that the tenant gave a SuperAdmin; empty for everybody else …"""
    lent: frozenset[Permission] = frozenset()
    """… and what it lends them beside their role."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings to show who asks."""

    token: Secret | None = None
    proof: str | None = None
    """A DPoP proof (RFC 9449) that the client holds its key."""
    method: str = ""
    """What the proof must be for: the request's method …"""
    url: str = ""
    """… and its URL, without query."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of the wire."""

    address: str
    client: str = ""
    request: str = ""
    """Id of this request, in the log, the audit trail and the answer."""
