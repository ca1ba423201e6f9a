"""The tables, as the newest migration leaves them (a test compares the two on both databases).

Ids are UUIDv7 text, times are seconds since 1970 (UTC), documents are JSON text, kept as written: the audit chain is
over it. Rows of a tenant carry ``tenant_id``; children point at their parent with it, so none hangs below another's.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _strings(*names: str) -> list[Column[str]]:
    return [Column(name, String, nullable=False) for name in names]


def _moments(*names: str) -> list[Column[float]]:
    return [Column(name, Double, nullable=False) for name in names]


def _tenant(*, key: bool = False) -> Column[str]:
    return Column("tenant_id", String, ForeignKey("tenants.id"), primary_key=key, nullable=False)


def _owned(*, key: bool = False) -> Column[str]:
    """Return the tenant of a child row: what it hangs below proves that the tenant exists."""
    return Column("tenant_id", String, primary_key=key, nullable=False)


def _of_run(name: str, *columns: SchemaItem) -> Table:
    above = ForeignKeyConstraint(["tenant_id", "run_id"], ["runs.tenant_id", "runs.id"], ondelete="CASCADE")
    return Table(name, metadata, _owned(), Column("run_id", String, primary_key=True), *columns, above)


tenants = Table(
    "tenants",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("policy", Text, nullable=False, server_default="{}"),
)

users = Table(
    "users",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    *_strings("email", "name", "role", "password"),
    Column("must_change", Boolean, nullable=False),
    Column("state", String, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("last_sign_in", Double),
    Column("kind", String, nullable=False, server_default="person"),
    Column("addresses", Text, nullable=False, server_default="[]"),
    Column("language", String, nullable=False, server_default=""),
    Column("zone", String, nullable=False, server_default=""),
    # Only a SuperAdmin belongs to no tenant, and no SuperAdmin belongs to one.
    CheckConstraint("(role = 'superadmin') = (tenant_id IS NULL)", name="tenantless"),
)
# NULL is never equal to NULL: without coalesce two SuperAdmins could share an address.
Index("uq_users_tenant_email", func.coalesce(users.c.tenant_id, text("''")), users.c.email, unique=True)
Index("ix_users_email", users.c.email)
Index("uq_users_tenant_id_id", users.c.tenant_id, users.c.id, unique=True)  # what a key points at

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    _owned(),
    *_strings("user_id", "name", "created_by", "last_address", "ended_why"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("addresses", Text, nullable=False),
    *_moments("created", "expires"),
    Column("last_used", Double),
    Column("uses", BigInteger, nullable=False),
    Column("ended", Double),
    ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_api_keys_users"),
    Index("ix_api_keys_tenant_id_user_id", "tenant_id", "user_id"),
)

grants = Table(
    "grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("family", String, nullable=False, index=True),
    Column("parent", String, unique=True),
    Column("user_id", String, ForeignKey("users.id"), nullable=False, index=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("thumbprint", String, nullable=False),
    *_moments("issued", "expires", "absolute"),
    Column("consumed_at", Double),
    Column("killed_at", Double),
    *_strings("client", "address"),
    Column("proved", Double, nullable=False, server_default="0"),
    Column("factors", String, nullable=False, server_default="password"),
)

factors = Table(
    "factors",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    Column("user_id", String, ForeignKey("users.id"), nullable=False, index=True),
    *_strings("kind", "name"),
    Column("sealed", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("used", Double),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    Column("user_id", String, ForeignKey("users.id"), nullable=False, index=True),
    Column("used", Double),
)

providers = Table(
    "providers",
    metadata,
    _tenant(key=True),
    *_strings("kind", "set_by"),
    Column("body", Text, nullable=False),
    Column("set_at", Double, nullable=False),
)

identities = Table(
    "identities",
    metadata,
    _owned(key=True),
    Column("issuer", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("user_id", String, nullable=False),
    Column("created", Double, nullable=False),
    ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_identities_users"),
    Index("ix_identities_tenant_id_user_id", "tenant_id", "user_id"),
)

sso_requests = Table(
    "sso_requests",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    _tenant(),
    *_strings("thumbprint", "address", "family"),
    Column("sealed", LargeBinary, nullable=False),
    *_moments("created", "expires"),
    Index("ix_sso_requests_address_created", "address", "created"),
    Index("ix_sso_requests_expires", "expires"),
)

support = Table(
    "support",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("user_id", String, ForeignKey("users.id")),
    *_strings("email", "reason", "created_by", "ended_by"),
    Column("scopes", Text, nullable=False),
    *_moments("created", "expires"),
    Column("ended", Double),
)

links = Table(
    "links",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    Column("user_id", String, ForeignKey("users.id"), nullable=False, index=True),
    *_strings("purpose", "email"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("epoch", BigInteger, nullable=False),
    *_moments("created", "expires"),
    Column("ended", Double),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    Column("user_id", String, ForeignKey("users.id")),
    *_strings("kind", "recipient", "state", "why"),
    Column("sealed", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    *_moments("created", "due", "until"),
    Column("ended", Double),
    Index("ix_outbox_state_due", "state", "due"),
    Index("ix_outbox_tenant_id_id", "tenant_id", "id"),
    Index("ix_outbox_ended", "ended"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", String, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    Column("user_id", String, ForeignKey("users.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_notices_user_id_id", "user_id", "id"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("tenant_id", String, ForeignKey("tenants.id")),
    Column("user_id", String, ForeignKey("users.id"), nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires", Double, nullable=False, index=True),
    Column("used", Double),
)

marks = Table(
    "marks",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    *_strings("kind", "subject"),
    *_moments("value", "at"),
    Index("ix_marks_kind_subject", "kind", "subject"),
)

blobs = Table("blobs", metadata, Column("key", String, primary_key=True), Column("value", LargeBinary, nullable=False))

workers = Table(
    "workers", metadata, Column("executor", String, primary_key=True), Column("beat", Double, nullable=False)
)

tenant_keys = Table(
    "tenant_keys",
    metadata,
    _tenant(key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("above", Integer, nullable=False, server_default="1"),
    Column("made", Double, nullable=False, server_default="0"),
)

secrets = Table(
    "secrets",
    metadata,
    _tenant(key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("key", Integer, nullable=False, server_default="1"),
    Column("wrapped", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    *_strings("fingerprint", "set_by"),
    Column("reference", String, nullable=False, server_default=""),
    Column("set_at", Double, nullable=False),
    Column("deleted", Boolean, nullable=False),
)

definitions = Table(
    "definitions",
    metadata,
    _tenant(key=True),
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *_strings("digest", "author"),
    Column("body", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("created", Double, nullable=False),
)

latest = Table(
    "latest",
    metadata,
    _owned(key=True),
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "kind", "name", "version"],
        ["definitions.tenant_id", "definitions.kind", "definitions.name", "definitions.version"],
    ),
)
"""The newest version of each definition that is not deleted."""

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    _tenant(),
    *_strings("flow", "digest", "state", "by_user", "via"),
    Column("version", Integer, nullable=False),
    Column("params", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("error", Text),
    Column("counts", Text),
    Column("plan", Text),
    Column("cancel_requested", Boolean, nullable=False),
    Column("executor", String, nullable=False),
    UniqueConstraint("tenant_id", "id"),
    Index("ix_runs_tenant_id_flow_id", "tenant_id", "flow", "id"),
    Index("ix_runs_executor_state", "executor", "state"),
)

run_events = _of_run(
    "run_events",
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
)

quotes = _of_run(
    "quotes",
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_quotes_tenant_id_at", "tenant_id", "at"),
)

receipts = _of_run(
    "receipts",
    Column("segment", String, primary_key=True),
    Column("body", Text, nullable=False),
    Column("at", Double, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    _tenant(key=True),
    Column("flow", String, primary_key=True),
    Column("step", String, primary_key=True),
    Column("columns", Text, nullable=False),
    Column("at", Double, nullable=False),
)

watermarks = Table(
    "watermarks",
    metadata,
    _tenant(key=True),
    Column("flow", String, primary_key=True),
    Column("step", String, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("again", Integer, nullable=False),
    *_strings("field", "type"),
    Column("value", String),
    *_strings("run_id", "set_by"),
    Column("set_at", Double, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("tenant_id", String, primary_key=True),  # '' is the system's own ledger
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    *_strings("action", "who"),
    Column("body", Text, nullable=False),
    Column("link", LargeBinary, nullable=False),
    Index("ix_audit_tenant_id_action_seq", "tenant_id", "action", "seq"),
    Index("ix_audit_tenant_id_who_seq", "tenant_id", "who", "seq"),
)

APPEND_ONLY = frozenset({"audit", "definitions", "run_events"})
"""Tables whose rows the application may add and read, never change; nor delete."""
