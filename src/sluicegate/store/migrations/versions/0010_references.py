"""Secrets that are kept elsewhere: where, as lists show it. What is used is the sealed copy."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the column. What is there is kept here."""
    op.add_column("secrets", sa.Column("reference", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take it away; a secret that is kept elsewhere does not open then."""
    op.execute("ALTER TABLE secrets DROP COLUMN reference")
