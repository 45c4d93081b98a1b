"""What is wrong, who is told of it, and how fresh results must be."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import audit_edits, check_edits_of, check_no_edits_of, forget_edits

revision = "0028_notices"
down_revision = "0027_held_daemons"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
OPEN = sa.text("recovered_at IS NULL")
UNSENT = sa.text("delivery IS NULL")
UNSETTLED = sa.text("settled_at IS NULL")
FRESH = sa.text("fresh_within IS NOT NULL")
KINDS = (
    *("failing", "partial", "missed", "late", "stale", "overdue", "behind"),
    *("needs_attention", "unconfirmed", "invalid", "brake", "account_refused"),
    *("reload_refused", "daemon_silent"),
)
CHANGES = ("opened", "still", "recovered", "event")
# Behind every transaction that has ended, as whoever begins to read.
CURSOR = """
    INSERT INTO event_cursors (consumer, transaction_id, event_id)
    SELECT 'notices', {before}, coalesce(max(id), 0) FROM run_events
"""


def upgrade() -> None:
    """Add the tables, the keys of a schedule, and the cursor."""
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.add_column("schedules", sa.Column("fresh_within", sa.Text()))
    op.add_column("schedules", sa.Column("on_end", sa.Text()))
    audit_edits("schedules")
    check_edits_of("fresh_within")
    _index("ix_schedules_fresh_within", "schedules", ["name"], FRESH)
    _create_alerts()
    _create_deliveries()
    _create_notices()
    before = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1" if is_postgresql else "0"
    op.execute(CURSOR.format(before=before))


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", ID, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("schedule", "collector", "labels")),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("count", sa.Integer, nullable=False, server_default="1"),
        sa.Column("detail", sa.Text),
        sa.Column("run_id", ID),
        sa.Column("recovered_at", MOMENT),
        sa.Column("acked_at", MOMENT),
        sa.Column("acked_by", sa.Text),
        sa.Column("acked_reason", sa.Text),
        sa.Column("acked_until", MOMENT),
        sa.CheckConstraint(_one_of("kind", KINDS), name="kind"),
    )
    _index("uq_alerts_open", "alerts", ["kind", "subject"], OPEN, unique=True)
    op.create_index("ix_alerts_recovered_at", "alerts", ["recovered_at"])


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column(
            "is_group",
            sa.Boolean(create_constraint=True, name="is_group"),
            nullable=False,
            server_default=sa.text("TRUE"),
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", MOMENT),
        sa.Column("settled_at", MOMENT),
        sa.Column("outcome", sa.Text),
        sa.Column("last_error", sa.Text),
        sa.CheckConstraint(_one_of("outcome", ("delivered", "given_up")), name="outcome"),
    )
    _index("ix_deliveries_unsettled", "deliveries", ["channel", "next_attempt_at"], UNSETTLED)
    op.create_index("ix_deliveries_created_at", "deliveries", ["created_at"])


def _create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", ID, primary_key=True),
        sa.Column("alert_id", ID, sa.ForeignKey("alerts.id", name="fk_notices_alert_id")),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("channel", "kind", "change", "subject", "event")
        ),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column(
            "delivery",
            sa.Text,
            sa.ForeignKey("deliveries.id", name="fk_notices_delivery"),
        ),
        sa.CheckConstraint(_one_of("change", CHANGES), name="change"),
    )
    op.create_index("ix_notices_alert_id", "notices", ["alert_id", "channel", "created_at"])
    op.create_index("ix_notices_delivery", "notices", ["delivery"])
    _index("ix_notices_unsent", "notices", ["channel", "id"], UNSENT)


def _index(
    name: str, table: str, columns: list[str], where: sa.TextClause, *, unique: bool = False
) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def downgrade() -> None:
    """Drop all of it: what was not told is not told any more."""
    op.execute("DELETE FROM event_cursors WHERE consumer = 'notices'")
    for table in ("notices", "deliveries", "alerts"):
        op.drop_table(table)
    op.drop_index("ix_schedules_fresh_within", "schedules")
    check_no_edits_of("fresh_within")
    forget_edits("schedules")
    op.drop_column("schedules", "on_end")
    op.drop_column("schedules", "fresh_within")
    audit_edits("schedules")
