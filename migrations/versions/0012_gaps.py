"""A long gap is one skipped run: how many occurrences it had, and when the last was due."""

import sqlalchemy as sa
from alembic import op

revision = "0012_gaps"
down_revision = "0011_lost_runs"
branch_labels = None
depends_on = None

_GAP = sa.text("due_until IS NOT NULL")
_MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the columns; what is there is one occurrence each."""
    op.add_column("runs", sa.Column("due_until", _MOMENT))
    op.add_column("runs", sa.Column("occurrences", sa.Integer, nullable=False, server_default="1"))
    op.create_index(
        "ix_runs_gaps",
        "runs",
        ["schedule", "due_until"],
        sqlite_where=_GAP,
        postgresql_where=_GAP,
    )


def downgrade() -> None:
    """Take them away again; a gap is left with its first occurrence."""
    op.drop_index("ix_runs_gaps", "runs")
    op.drop_column("runs", "occurrences")
    op.drop_column("runs", "due_until")
