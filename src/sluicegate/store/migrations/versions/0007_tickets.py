"""One-time tickets for downloads and streams."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "tickets",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String()),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("used", sa.Double()),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_tickets_tenants"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tickets_users"),
        sa.PrimaryKeyConstraint("digest", name="pk_tickets"),
    )
    op.create_index("ix_tickets_user_id", "tickets", ["user_id"])
    op.create_index("ix_tickets_expires", "tickets", ["expires"])
    if op.get_bind().dialect.name == "postgresql":
        _lock_rows()


def downgrade() -> None:
    """Take it away; who holds a ticket asks for another."""
    op.drop_table("tickets")


def _lock_rows() -> None:
    system = "current_setting('app.system', true) = 'on'"
    own = "tenant_id = nullif(current_setting('app.tenant', true), '')"
    op.execute("ALTER TABLE tickets ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE tickets FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tickets_system ON tickets USING ({system}) WITH CHECK ({system})")
    op.execute(f"CREATE POLICY tickets_tenant ON tickets USING ({own}) WITH CHECK ({own})")
