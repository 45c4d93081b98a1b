"""What a client that is none of ours edits of freezes and overrides is in `changes`, too."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import audit_edits, forget_edits

revision = "0033_stops_by_sql"
down_revision = "0032_alert_kinds"
branch_labels = None
depends_on = None

TABLES = ("freezes", "overrides")


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
