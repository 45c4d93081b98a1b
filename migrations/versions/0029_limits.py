"""How much schedules, collectors and accounts may send in a day, and what was sent on each."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import (
    add_reasons,
    audit_edits,
    drop_reasons,
    forget_edits,
    is_sqlite,
)

revision = "0029_limits"
down_revision = "0028_notices"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
LIMITED = ("accounts", "collectors", "schedules")
NUMBERS = ("max_runs_per_day", "max_inputs_per_day")
IS_LIMITED = sa.text(" OR ".join(f"{name} IS NOT NULL" for name in (*NUMBERS, "min_interval")))
REASONS = ("over_limit", "budget")
DIFFERS = {
    "sqlite": "OLD.min_interval IS NOT NEW.min_interval",
    "postgresql": "OLD.min_interval IS DISTINCT FROM NEW.min_interval",
}
OF_SCHEDULE = "schedules_interval_checked"
OF_COLLECTOR = "collectors_interval_edited"
# As 0001 has it for the other columns: a text that is no duration is told within seconds.
WATCHES = {
    "sqlite": (
        f"""
        CREATE TRIGGER {OF_SCHEDULE} AFTER UPDATE OF min_interval ON schedules
        WHEN {DIFFERS["sqlite"]}
        BEGIN UPDATE schedules SET planned_at = NULL WHERE name = NEW.name; END
        """,
        f"""
        CREATE TRIGGER {OF_COLLECTOR} AFTER UPDATE OF min_interval ON collectors
        WHEN {DIFFERS["sqlite"]}
        BEGIN
            UPDATE schedules SET planned_at = NULL
            WHERE collector = OLD.name AND planned_at IS NOT NULL;
        END
        """,
    ),
    "postgresql": (
        f"""
        CREATE TRIGGER {OF_SCHEDULE} BEFORE UPDATE OF min_interval ON schedules
        FOR EACH ROW WHEN ({DIFFERS["postgresql"]}) EXECUTE FUNCTION schedules_checked()
        """,
        f"""
        CREATE CONSTRAINT TRIGGER {OF_COLLECTOR} AFTER UPDATE OF min_interval ON collectors
        DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN ({DIFFERS["postgresql"]}) EXECUTE FUNCTION collectors_named()
        """,
    ),
}
# What has been accepted already counts; what is accepted from now on is counted by its event.
COUNTED = """
    INSERT INTO usage (day, account, collector, schedule, labels, runs, inputs, pages, paged_inputs,
        last_meant_at)
    SELECT {day}, runs.account, runs.collector, coalesce(runs.schedule, ''),
        coalesce(runs.labels, ''),
        sum(CASE WHEN runs.chunk = 1 OR runs.retry_of IS NOT NULL THEN 1 ELSE 0 END),
        sum(coalesce(bodies.row_count, 0)),
        sum(CASE WHEN runs.ended_at IS NULL THEN 0 ELSE coalesce(collections.pages, 0) END),
        sum(CASE WHEN runs.ended_at IS NOT NULL AND collections.pages IS NOT NULL
            THEN coalesce(bodies.row_count, 0) ELSE 0 END),
        max(CASE WHEN runs.created_by IS NULL AND runs.retry_of IS NULL
            THEN runs.due_at ELSE runs.created_at END)
    FROM runs
    LEFT JOIN bodies ON bodies.fingerprint = runs.body
    LEFT JOIN collections ON collections.id = runs.collection_id
    WHERE runs.triggered_at IS NOT NULL
    GROUP BY {day}, runs.account, runs.collector, coalesce(runs.schedule, ''),
        coalesce(runs.labels, '')
"""
DAY = {
    "sqlite": "substr(runs.triggered_at, 1, 10)",
    "postgresql": "to_char(timezone('UTC', runs.triggered_at), 'YYYY-MM-DD')",
}


def upgrade() -> None:
    """Add what limits, and the counts."""
    brand = op.get_bind().dialect.name
    for table in LIMITED:
        for name in NUMBERS:
            op.execute(
                f"ALTER TABLE {table} ADD COLUMN {name} INTEGER CONSTRAINT ck_{table}_{name}"
                f" CHECK ({name} BETWEEN 1 AND 2147483647)"
            )
        op.add_column(table, sa.Column("min_interval", sa.Text()))
        audit_edits(table)
    op.create_index(
        "ix_schedules_limited",
        "schedules",
        ["name"],
        sqlite_where=IS_LIMITED,
        postgresql_where=IS_LIMITED,
    )
    op.execute(
        "ALTER TABLE runs ADD COLUMN past_limits BOOLEAN DEFAULT FALSE NOT NULL"
        " CONSTRAINT ck_runs_past_limits CHECK (past_limits IN (FALSE, TRUE))"
    )
    for statement in WATCHES[brand]:
        op.execute(statement)
    add_reasons(*REASONS, before="flushed")
    op.create_table(
        "usage",
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("day", "account", "collector", "schedule", "labels")
        ),
        *(
            sa.Column(name, ID, nullable=False, server_default="0")
            for name in ("runs", "inputs", "pages", "paged_inputs")
        ),
        sa.Column("last_meant_at", MOMENT),
        sa.PrimaryKeyConstraint(
            "day", "account", "collector", "schedule", "labels", name="pk_usage"
        ),
    )
    op.execute(COUNTED.format(day=DAY[brand]))


def downgrade() -> None:
    """Take both away again."""
    op.drop_table("usage")
    drop_reasons(*REASONS, before="flushed", instead="queue_full")
    for name, table in ((OF_SCHEDULE, "schedules"), (OF_COLLECTOR, "collectors")):
        op.execute(f"DROP TRIGGER {name}" + ("" if is_sqlite() else f" ON {table}"))
    op.execute("ALTER TABLE runs DROP COLUMN past_limits")
    op.drop_index("ix_schedules_limited", "schedules")
    for table in LIMITED:
        forget_edits(table)
        for name in ("min_interval", *NUMBERS):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        audit_edits(table)
