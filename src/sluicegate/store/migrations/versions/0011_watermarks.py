"""Up to where flows have read: the highest value of a column that each step has seen, version by version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "watermarks",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("flow", sa.String(), nullable=False),
        sa.Column("step", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("again", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_watermarks_tenants"),
        sa.PrimaryKeyConstraint("tenant_id", "flow", "step", "version", name="pk_watermarks"),
    )
    if op.get_bind().dialect.name == "postgresql":
        _lock_rows()


def downgrade() -> None:
    """Take it away; the next run of each flow begins at its start."""
    op.drop_table("watermarks")


def _lock_rows() -> None:
    system = "current_setting('app.system', true) = 'on'"
    own = "tenant_id = nullif(current_setting('app.tenant', true), '')"
    op.execute("ALTER TABLE watermarks ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE watermarks FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY watermarks_system ON watermarks USING ({system}) WITH CHECK ({system})")
    op.execute(f"CREATE POLICY watermarks_tenant ON watermarks USING ({own}) WITH CHECK ({own})")
