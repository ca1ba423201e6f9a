"""Second factors, recovery codes, when somebody last proved who they are, and what a tenant asks of its people."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = ("factors", "recovery_codes")


def upgrade() -> None:
    """Add them. Grants that are alive were proved when they were given out."""
    op.create_table(
        "factors",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String()),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("used", sa.Double()),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_factors_tenants"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_factors_users"),
        sa.PrimaryKeyConstraint("id", name="pk_factors"),
    )
    op.create_index("ix_factors_user_id", "factors", ["user_id"])
    op.create_table(
        "recovery_codes",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tenant_id", sa.String()),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("used", sa.Double()),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_recovery_codes_tenants"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_recovery_codes_users"),
        sa.PrimaryKeyConstraint("digest", name="pk_recovery_codes"),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"])
    op.add_column("grants", sa.Column("proved", sa.Double(), nullable=False, server_default="0"))
    op.add_column("grants", sa.Column("factors", sa.String(), nullable=False, server_default="password"))
    op.execute("UPDATE grants SET proved = issued")
    op.add_column("tenants", sa.Column("policy", sa.Text(), nullable=False, server_default="{}"))
    if op.get_bind().dialect.name == "postgresql":
        _lock_rows()


def downgrade() -> None:
    """Take them away; whoever has a second factor then signs in without it."""
    for table, column in (("tenants", "policy"), ("grants", "factors"), ("grants", "proved")):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
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
