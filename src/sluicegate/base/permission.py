"""What can be permitted, and what needs no permission. Who gets which is the table in ``guard/policy.py``."""

from dataclasses import dataclass
from enum import StrEnum


class Permission(StrEnum):
    """``noun:verb``, in alphabetical order. Every operation names exactly one of these or is ``Public``."""

    AUDIT_READ = "audit:read"
    CONNECTION_READ = "connection:read"
    DATA_READ = "data:read"
    DATA_REVEAL = "data:reveal"
    DEFINITION_WRITE = "definition:write"
    FLOW_READ = "flow:read"
    RUN_CONTROL = "run:control"
    RUN_READ = "run:read"
    SECRET_LINK = "secret:link"  # noqa: S105 - the name of a permission
    SECRET_WRITE = "secret:write"  # noqa: S105 - the name of a permission
    SELF = "self:use"
    SUPPORT_GRANT = "support:grant"
    TENANT_MANAGE = "tenant:manage"
    USER_MANAGE = "user:manage"


@dataclass(frozen=True, slots=True)
class Public:
    """An operation that must work before there is a token. It carries its own proof; the reason is reviewed."""

    reason: str
