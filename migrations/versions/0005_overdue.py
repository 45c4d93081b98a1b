"""Runs whose collection has outlived its deadline, or any sane time, are marked once."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the mark, and a way to those that bear it."""
    op.add_column("runs", sa.Column("overdue_at", MOMENT))
    op.execute(
        "CREATE INDEX ix_runs_overdue ON runs (id)"
        " WHERE state = 'collecting' AND overdue_at IS NOT NULL"
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_runs_overdue", "runs")
    op.drop_column("runs", "overdue_at")
