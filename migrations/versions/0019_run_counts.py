"""What is left of runs that were forgotten: counts by day, schedule, collector and state."""

import sqlalchemy as sa
from alembic import op

revision = "0019_run_counts"
down_revision = "0018_tallies"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
REPLACED = sa.text("replaced_by IS NOT NULL")
KEY = ("day", "schedule", "collector", "state")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "run_counts",
        *(sa.Column(name, sa.Text, nullable=False) for name in KEY),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("occurrences", sa.Integer, nullable=False),
        *(sa.Column(name, ID, nullable=False) for name in ("inputs", "lines", "fails", "pages")),
        sa.Column("last_due_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint(*KEY, name="pk_run_counts"),
    )
    op.create_index("ix_run_counts_schedule", "run_counts", ["schedule", "last_due_at"])
    op.create_index("ix_runs_body", "runs", ["body"])
    op.create_index(
        "ix_collections_replaced_by",
        "collections",
        ["replaced_by"],
        sqlite_where=REPLACED,
        postgresql_where=REPLACED,
    )


def downgrade() -> None:
    """Drop it: the counts are lost."""
    op.drop_index("ix_collections_replaced_by", "collections")
    op.drop_index("ix_runs_body", "runs")
    op.drop_table("run_counts")
