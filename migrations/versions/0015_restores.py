"""A database that was taken from a backup says so, until somebody has settled what is missing."""

import sqlalchemy as sa
from alembic import op

revision = "0015_restores"
down_revision = "0014_api_tokens"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "restores",
        sa.Column("id", ID, nullable=False),
        sa.Column("backup_at", MOMENT, nullable=False),
        sa.Column("settled_at", MOMENT),
        sa.Column("settled_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_restores"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("restores")
