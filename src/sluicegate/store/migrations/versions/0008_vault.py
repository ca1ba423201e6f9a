"""Keys that are replaced: which key each secret and each tenant's key is wrapped by."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns. What is there is under the first keys."""
    op.add_column("secrets", sa.Column("key", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("tenant_keys", sa.Column("above", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("tenant_keys", sa.Column("made", sa.Double(), nullable=False, server_default="0"))
    op.execute("ALTER TABLE tenant_keys DROP COLUMN state")


def downgrade() -> None:
    """Take them away; whatever is under a later key does not open then."""
    op.add_column("tenant_keys", sa.Column("state", sa.String(), nullable=False, server_default="active"))
    for table, column in (("tenant_keys", "made"), ("tenant_keys", "above"), ("secrets", "key")):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
