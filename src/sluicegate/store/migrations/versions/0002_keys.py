"""API keys, service users, and from where a user may come."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLE = "api_keys"


def upgrade() -> None:
    """Add the table, with the second lock that ``0001`` describes, and what users have more."""
    op.add_column("users", sa.Column("kind", sa.String(), nullable=False, server_default="person"))
    op.add_column("users", sa.Column("addresses", sa.Text(), nullable=False, server_default="[]"))
    op.create_index("uq_users_tenant_id_id", "users", ["tenant_id", "id"], unique=True)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.Column("last_used", sa.Double()),
        sa.Column("last_address", sa.String(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.Double()),
        sa.Column("ended_why", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name="fk_api_keys_users"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_index("ix_api_keys_tenant_id_user_id", "api_keys", ["tenant_id", "user_id"])
    if op.get_bind().dialect.name == "postgresql":
        _lock_rows()


def downgrade() -> None:
    """Drop it, and what users have more."""
    op.drop_table(TABLE)
    op.drop_index("uq_users_tenant_id_id", "users")
    op.drop_column("users", "addresses")
    op.drop_column("users", "kind")


def _lock_rows() -> None:
    system = "current_setting('app.system', true) = 'on'"
    own = "tenant_id = nullif(current_setting('app.tenant', true), '')"
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY {TABLE}_system ON {TABLE} USING ({system}) WITH CHECK ({system})")
    op.execute(f"CREATE POLICY {TABLE}_tenant ON {TABLE} USING ({own}) WITH CHECK ({own})")
