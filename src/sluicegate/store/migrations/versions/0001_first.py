"""The first tables.

On both databases triggers refuse what would change history. On PostgreSQL row-level security is the second lock: a row
is seen and written only by a transaction that set ``app.tenant`` to its tenant, or ``app.system`` to ``on``
(``scope.System`` alone does, for what comes before or above a tenant: sign-in, refresh, revocation, the reaper). FORCE
holds the owner to it as well.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    "audit",
    "blobs",
    "marks",
    "tenants",
    "workers",
    "definitions",
    "runs",
    "secrets",
    "snapshots",
    "tenant_keys",
    "users",
    "grants",
    "latest",
    "receipts",
    "run_events",
)
"""Parents first."""

OF_TENANT = tuple(name for name in TABLES if name not in {"blobs", "marks", "tenants", "workers"})
"""Tables whose rows belong to a tenant. The others are the system's; a tenant may read its own row of ``tenants``."""

FROZEN = {"audit": ("UPDATE", "DELETE"), "definitions": ("UPDATE",), "run_events": ("UPDATE",)}
"""What triggers refuse. A run's events go with the run (retention); the audit trail never goes."""


def upgrade() -> None:
    """Make every table, its triggers and its policies."""
    _tables()
    if op.get_bind().dialect.name == "postgresql":
        _freeze_postgresql()
        _lock_rows()
    else:
        _freeze_sqlite()


def downgrade() -> None:
    """Drop everything."""
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION sluicegate_frozen()")


def _freeze_sqlite() -> None:
    for table, verbs in FROZEN.items():
        for verb in verbs:
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    # INSERT OR REPLACE deletes without asking the DELETE trigger: refuse a number that is taken before it does.
    op.execute(
        "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit"
        " WHEN EXISTS (SELECT 1 FROM audit WHERE tenant_id = NEW.tenant_id AND seq = NEW.seq)"
        " BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
    )


def _freeze_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION sluicegate_frozen() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$"
    )
    for table, verbs in FROZEN.items():
        events = " OR ".join((*verbs, "TRUNCATE"))
        op.execute(
            f"CREATE TRIGGER {table}_frozen BEFORE {events} ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION sluicegate_frozen()"
        )


def _lock_rows() -> None:
    system = "current_setting('app.system', true) = 'on'"
    # Once set and ended, a transaction's setting reads as '', which is the system ledger's tenant: nullif.
    tenant = "nullif(current_setting('app.tenant', true), '')"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_system ON {table} USING ({system}) WITH CHECK ({system})")
    own = f"tenant_id = {tenant}"
    for table in OF_TENANT:
        op.execute(f"CREATE POLICY {table}_tenant ON {table} USING ({own}) WITH CHECK ({own})")
    op.execute(f"CREATE POLICY tenants_own ON tenants FOR SELECT USING (id = {tenant})")


def _tables() -> None:
    op.create_table(
        "audit",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="pk_audit"),
    )
    op.create_index("ix_audit_tenant_id_action_seq", "audit", ["tenant_id", "action", "seq"])
    op.create_index("ix_audit_tenant_id_who_seq", "audit", ["tenant_id", "who", "seq"])
    op.create_table(
        "blobs",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_blobs"),
    )
    op.create_table(
        "marks",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_marks"),
    )
    op.create_index("ix_marks_kind_subject", "marks", ["kind", "subject"])
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("name", name="uq_tenants_name"),
    )
    op.create_table(
        "workers",
        sa.Column("executor", sa.String(), nullable=False),
        sa.Column("beat", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("executor", name="pk_workers"),
    )
    op.create_table(
        "definitions",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_definitions_tenants"),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "name", "version", name="pk_definitions"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("flow", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("by_user", sa.String(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("started", sa.Double()),
        sa.Column("finished", sa.Double()),
        sa.Column("error", sa.Text()),
        sa.Column("counts", sa.Text()),
        sa.Column("plan", sa.Text()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("executor", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_runs_tenants"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_runs_tenant_id_id"),
    )
    op.create_index("ix_runs_executor_state", "runs", ["executor", "state"])
    op.create_index("ix_runs_tenant_id_flow_id", "runs", ["tenant_id", "flow", "id"])
    op.create_table(
        "secrets",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.Double(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_secrets_tenants"),
        sa.PrimaryKeyConstraint("tenant_id", "name", name="pk_secrets"),
    )
    op.create_table(
        "snapshots",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("flow", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_snapshots_tenants"),
        sa.PrimaryKeyConstraint("tenant_id", "flow", "step", name="pk_snapshots"),
    )
    op.create_table(
        "tenant_keys",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_tenant_keys_tenants"),
        sa.PrimaryKeyConstraint("tenant_id", "version", name="pk_tenant_keys"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String()),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password", sa.String(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("last_sign_in", sa.Double()),
        sa.CheckConstraint("(role = 'superadmin') = (tenant_id IS NULL)", name="ck_users_tenantless"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_users_tenants"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
    )
    op.create_index("uq_users_tenant_email", "users", [sa.text("coalesce(tenant_id, '')"), "email"], unique=True)
    op.create_index("ix_users_email", "users", ["email"])
    op.create_table(
        "grants",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("parent", sa.String()),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String()),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("issued", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("absolute", sa.Double(), nullable=False),
        sa.Column("consumed_at", sa.Double()),
        sa.Column("killed_at", sa.Double()),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_grants_tenants"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_grants_users"),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
        sa.UniqueConstraint("digest", name="uq_grants_digest"),
        sa.UniqueConstraint("parent", name="uq_grants_parent"),
    )
    op.create_index("ix_grants_family", "grants", ["family"])
    op.create_index("ix_grants_user_id", "grants", ["user_id"])
    op.create_table(
        "latest",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "kind", "name", "version"],
            ["definitions.tenant_id", "definitions.kind", "definitions.name", "definitions.version"],
            name="fk_latest_definitions",
        ),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "name", name="pk_latest"),
    )
    op.create_table(
        "receipts",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("segment", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"], ["runs.tenant_id", "runs.id"], name="fk_receipts_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "segment", name="pk_receipts"),
    )
    op.create_table(
        "run_events",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"], ["runs.tenant_id", "runs.id"], name="fk_run_events_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_run_events"),
    )
