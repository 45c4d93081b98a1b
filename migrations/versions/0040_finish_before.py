"""A time of day by which a schedule's collections are to have ended."""

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

revision = "0040_finish_before"
down_revision = "0039_course"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
WAITING = sa.text("state = 'queued' AND finish_by_at IS NOT NULL")
INDEX = "ix_runs_finish_by_at"


def upgrade() -> None:
    """Add it, and to runs the moment that it comes to."""
    op.add_column("schedules", sa.Column("finish_before", sa.Text()))
    check_edits_of("finish_before")
    audit_edits("schedules")
    op.add_column("runs", sa.Column("finish_by_at", MOMENT))
    op.create_index(INDEX, "runs", ["finish_by_at"], sqlite_where=WAITING, postgresql_where=WAITING)
    add_reasons("no_time", before="flushed")


def downgrade() -> None:
    """Drop them."""
    drop_reasons("no_time", before="flushed", instead="missed")
    op.drop_index(INDEX, "runs")
    op.drop_column("runs", "finish_by_at")
    forget_edits("schedules")
    check_no_edits_of("finish_before")
    op.drop_column("schedules", "finish_before")
    audit_edits("schedules")
