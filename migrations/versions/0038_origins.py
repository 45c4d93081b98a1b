"""On PostgreSQL a row tells where the rows were written: one that was brought here is another."""

import sqlalchemy as sa
from alembic import op

revision = "0038_origins"
down_revision = "0037_results"
branch_labels = None
depends_on = None

LARGE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table, in place of a comment: not every dump has those."""
    op.create_table(
        "origins",
        sa.Column("id", LARGE, nullable=False),
        sa.Column("table_oid", LARGE, nullable=False),
        sa.Column("transaction_id", LARGE, nullable=False),
        sa.Column("system_identifier", sa.Text),
        sa.Column("timeline", LARGE),
        sa.PrimaryKeyConstraint("id", name="pk_origins"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute("COMMENT ON TABLE daemons IS NULL")


def downgrade() -> None:
    """Drop it: nothing tells of a restored dump."""
    op.drop_table("origins")
