"""Support access: what a tenant lets a SuperAdmin see for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TABLE = "support"


def upgrade() -> None:
    """Add the table, with the second lock that ``0001`` describes."""
    op.create_table(
        TABLE,
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String()),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double()),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_support_tenants"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_support_users"),
        sa.PrimaryKeyConstraint("id", name="pk_support"),
    )
    op.create_index("ix_support_tenant_id", "support", ["tenant_id"])
    if op.get_bind().dialect.name == "postgresql":
        _lock_rows()


def downgrade() -> None:
    """Drop it: nobody has support access then."""
    op.drop_table(TABLE)


def _lock_rows() -> None:
    system = "current_setting('app.system', true) = 'on'"
    own = "tenant_id = nullif(current_setting('app.tenant', true), '')"
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {TABLE}_system ON {TABLE} USING ({system}) WITH CHECK ({system})")
    op.execute(f"CREATE POLICY {TABLE}_tenant ON {TABLE} USING ({own}) WITH CHECK ({own})")
