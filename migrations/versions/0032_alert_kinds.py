"""What may be wrong is a list that grows with the program: no revision for each kind."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import is_sqlite, rewrite_table

revision = "0032_alert_kinds"
down_revision = "0031_verdicts"
branch_labels = None
depends_on = None

KINDS = (
    *("failing", "partial", "missed", "late", "stale", "overdue", "behind"),
    *("needs_attention", "unconfirmed", "invalid", "brake", "account_refused"),
    *("reload_refused", "daemon_silent"),
)
CHECK = f"kind IN ({', '.join(repr(kind) for kind in KINDS)})"
WRITTEN = f"CONSTRAINT ck_alerts_kind CHECK ({CHECK})"


def upgrade() -> None:
    """Drop the CHECK."""
    if is_sqlite():
        rewrite_table("alerts", f", \n\t{WRITTEN}", "")
    else:
        op.drop_constraint("kind", "alerts", type_="check")


def downgrade() -> None:
    """Forget what is of another kind."""
    op.get_bind().execute(
        sa.text(f"DELETE FROM notices WHERE alert_id IN (SELECT id FROM alerts WHERE NOT {CHECK})")
    )
    op.get_bind().execute(sa.text(f"DELETE FROM alerts WHERE NOT {CHECK}"))
    if is_sqlite():
        rewrite_table("alerts", "PRIMARY KEY (id)", f"PRIMARY KEY (id), \n\t{WRITTEN}")
    else:
        op.create_check_constraint("kind", "alerts", CHECK)
