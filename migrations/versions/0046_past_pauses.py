"""Runs that are sent on a person's word in spite of a pause or a freeze."""

from alembic import op

revision = "0046_past_pauses"
down_revision = "0045_beat_count"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark."""
    op.execute(
        "ALTER TABLE runs ADD COLUMN past_pauses BOOLEAN DEFAULT FALSE NOT NULL"
        " CONSTRAINT ck_runs_past_pauses CHECK (past_pauses IN (FALSE, TRUE))"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE runs DROP COLUMN past_pauses")
