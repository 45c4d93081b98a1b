"""What is to come of a run: two more keys of a schedule, and the reason of a low success rate."""

from alembic import op

from scheduler.storage.revisions import add_reasons, audit_edits, drop_reasons, forget_edits

revision = "0031_verdicts"
down_revision = "0030_listed"
branch_labels = None
depends_on = None

MOST = {"min_rows_per_input": "1000000", "min_success_rate": "1"}
BEFORE = "deadline_reached"


def upgrade() -> None:
    """Add them in place: an SQLite table that is made anew would lose its triggers."""
    for column, most in MOST.items():
        op.execute(
            f"ALTER TABLE schedules ADD COLUMN {column} FLOAT CONSTRAINT ck_schedules_{column}"
            f" CHECK ({column} BETWEEN 0 AND {most})"
        )
    audit_edits("schedules")
    add_reasons("low_success_rate", before=BEFORE)


def downgrade() -> None:
    """Drop them."""
    drop_reasons("low_success_rate", before=BEFORE, instead="collection_failed")
    forget_edits("schedules")
    for column in MOST:
        op.execute(f"ALTER TABLE schedules DROP COLUMN {column}")
    audit_edits("schedules")
