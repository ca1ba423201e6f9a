"""Single sign-on: a tenant's provider, who is who there, and sign-ins that are on their way."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = ("providers", "identities", "sso_requests")


def upgrade() -> None:
    """Add the tables, with the second lock that ``0001`` describes."""
    op.create_table(
        "providers",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("set_at", sa.Double(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_providers_tenants"),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_providers"),
    )
    op.create_table(
        "identities",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_identities_users"),
        sa.PrimaryKeyConstraint("tenant_id", "issuer", "subject", name="pk_identities"),
    )
    op.create_index("ix_identities_tenant_id_user_id", "identities", ["tenant_id", "user_id"])
    op.create_table(
        "sso_requests",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("thumbprint", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_sso_requests_tenants"),
        sa.PrimaryKeyConstraint("digest", name="pk_sso_requests"),
    )
    op.create_index("ix_sso_requests_address_created", "sso_requests", ["address", "created"])
    op.create_index("ix_sso_requests_expires", "sso_requests", ["expires"])
    if op.get_bind().dialect.name == "postgresql":
        _lock_rows()


def downgrade() -> None:
    """Drop them: people who came only by single sign-on have no way in then."""
    for table in reversed(TABLES):
        op.drop_table(table)


def _lock_rows() -> None:
    system = "current_setting('app.system', true) = 'on'"
    own = "tenant_id = nullif(current_setting('app.tenant', true), '')"
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY {table}_system ON {table} USING ({system}) WITH CHECK ({system})")
        op.execute(f"CREATE POLICY {table}_tenant ON {table} USING ({own}) WITH CHECK ({own})")
