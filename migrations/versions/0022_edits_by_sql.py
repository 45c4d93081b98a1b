"""What a client that is none of ours edits of a definition is in `changes`."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import audit_edits, forget_edits, is_sqlite

revision = "0022_edits_by_sql"
down_revision = "0021_pauses_end"
branch_labels = None
depends_on = None

TABLES = ("accounts", "batches", "calendars", "collectors", "queues", "schedules")


def upgrade() -> None:
    """Let our own statements be told from others, and note those."""
    for table in TABLES:
        op.add_column(table, sa.Column("edits", sa.Integer, nullable=False, server_default="0"))
        audit_edits(table)


def downgrade() -> None:
    """Note them no more."""
    for table in reversed(TABLES):
        forget_edits(table)
        op.drop_column(table, "edits")
    if not is_sqlite():
        op.execute("DROP FUNCTION note_edit()")
