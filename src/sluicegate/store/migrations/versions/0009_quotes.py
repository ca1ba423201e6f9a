"""What errors and logs of runs say of rows: sealed, apart from the record that stays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "quotes",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "run_id"], ["runs.tenant_id", "runs.id"], name="fk_quotes_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "seq", name="pk_quotes"),
    )
    op.create_index("ix_quotes_tenant_id_at", "quotes", ["tenant_id", "at"])
    if op.get_bind().dialect.name == "postgresql":
        _lock_rows()


def downgrade() -> None:
    """Take it away; what stays says where and what kind."""
    op.drop_table("quotes")


def _lock_rows() -> None:
    system = "current_setting('app.system', true) = 'on'"
    own = "tenant_id = nullif(current_setting('app.tenant', true), '')"
    op.execute("ALTER TABLE quotes ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE quotes FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY quotes_system ON quotes USING ({system}) WITH CHECK ({system})")
    op.execute(f"CREATE POLICY quotes_tenant ON quotes USING ({own}) WITH CHECK ({own})")
