"""Schedules that are skipped where their inputs are old, or unchanged."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import (
    add_reasons,
    audit_edits,
    check_edits_of,
    check_no_edits_of,
    drop_reasons,
    forget_edits,
)

revision = "0041_in_vain"
down_revision = "0040_finish_before"
branch_labels = None
depends_on = None

COLUMN = "only_if_changed"
CHECK = f" CONSTRAINT ck_schedules_{COLUMN} CHECK ({COLUMN} IN (FALSE, TRUE))"


def upgrade() -> None:
    """Add the two keys and their reasons."""
    op.execute(f"ALTER TABLE schedules ADD COLUMN {COLUMN} BOOLEAN DEFAULT FALSE NOT NULL{CHECK}")
    op.add_column("schedules", sa.Column("batch_max_age", sa.Text()))
    check_edits_of("batch_max_age")
    audit_edits("schedules")
    add_reasons("unchanged", "stale_batch", before="flushed")


def downgrade() -> None:
    """Drop them."""
    drop_reasons("unchanged", "stale_batch", before="flushed", instead="missed")
    forget_edits("schedules")
    check_no_edits_of("batch_max_age")
    op.drop_column("schedules", "batch_max_age")
    op.execute(f"ALTER TABLE schedules DROP COLUMN {COLUMN}")
    audit_edits("schedules")
