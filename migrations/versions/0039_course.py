"""When collections are expected to end; what takes too long is told, or cancelled."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import (
    add_reasons,
    audit_edits,
    drop_reasons,
    forget_edits,
    is_sqlite,
    rewrite_table,
)

revision = "0039_course"
down_revision = "0038_origins"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
COLUMNS = ("expected_end_at", "overruns_at")
KEY = "on_overrun"
BEFORE = "refused"
CHECK = f"{KEY} IN ('tell', 'cancel')"
WRITTEN = f"CONSTRAINT ck_schedules_{KEY} CHECK ({CHECK})"
PLACE = "PRIMARY KEY (name)"


def upgrade() -> None:
    """Add them in place: an SQLite table that is made anew would lose its triggers."""
    for column in COLUMNS:
        op.add_column("collections", sa.Column(column, MOMENT))
    op.execute(f"ALTER TABLE schedules ADD COLUMN {KEY} TEXT DEFAULT 'tell' NOT NULL")
    if is_sqlite():
        rewrite_table("schedules", PLACE, f"{PLACE}, {WRITTEN}")
    else:
        op.create_check_constraint(KEY, "schedules", CHECK)
    audit_edits("schedules")
    add_reasons("overrun", before=BEFORE)


def downgrade() -> None:
    """Drop them."""
    drop_reasons("overrun", before=BEFORE, instead="cancelled_by_hand")
    forget_edits("schedules")
    if is_sqlite():
        rewrite_table("schedules", f"{PLACE}, {WRITTEN}", PLACE)
    else:
        op.drop_constraint(KEY, "schedules", type_="check")
    op.execute(f"ALTER TABLE schedules DROP COLUMN {KEY}")
    audit_edits("schedules")
    for column in COLUMNS:
        op.drop_column("collections", column)
