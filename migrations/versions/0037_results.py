"""Where results of runs are saved, what became of that, and by when they are to be ready."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import audit_edits, forget_edits, is_sqlite

revision = "0037_results"
down_revision = "0036_other_jobs"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
STATES = "'waiting', 'saved', 'failed', 'dismissed', 'removed'"
OF_BOTH = ("save_to", "keep_saved")
KEYS = {"schedules": (*OF_BOTH, "ready_by"), "collectors": OF_BOTH}
TRIGGERS = {"schedules": "schedules_results_checked", "collectors": "collectors_results_edited"}


def upgrade() -> None:
    """Add the table and the keys."""
    _create_results()
    for table, keys in KEYS.items():
        for key in keys:
            op.add_column(table, sa.Column(key, sa.Text))
        audit_edits(table)
    _index("ix_schedules_ready_by", "schedules", ["name"], "ready_by IS NOT NULL")
    for statement in _watches():
        op.execute(statement)


def _create_results() -> None:
    op.create_table(
        "results",
        sa.Column("run_id", ID, nullable=False, autoincrement=False),
        sa.Column("collection_id", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("schedule", sa.Text),
        sa.Column("collector", sa.Text, nullable=False),
        sa.Column("labels", sa.Text),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("path", sa.Text),
        sa.Column("keep_saved", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text) for name in ("reason", "detail")),
        *(sa.Column(name, MOMENT, nullable=False) for name in ("created_at", "expires_at")),
        sa.Column("attempt_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", MOMENT),
        *(sa.Column(name, sa.Text) for name in ("lease_owner", "host")),
        *(sa.Column(name, ID) for name in ("row_count", "byte_count")),
        sa.Column("sha256", sa.Text),
        *(sa.Column(name, MOMENT) for name in ("settled_at", "remove_at")),
        sa.PrimaryKeyConstraint("run_id", name="pk_results"),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.name"], name="fk_results_account", onupdate="CASCADE"
        ),
        sa.CheckConstraint(f"state IN ({STATES})", name="state"),
    )
    waits, goes = "next_attempt_at IS NOT NULL", "remove_at IS NOT NULL"
    _index("ix_results_next_attempt", "results", ["next_attempt_at"], waits)
    _index("ix_results_remove", "results", ["host", "remove_at"], goes)
    _index("ix_results_unsaved", "results", ["run_id"], "state IN ('waiting', 'failed')")
    op.create_index("ix_results_settled_at", "results", ["settled_at"])


def _watches() -> tuple[str, str]:
    """Return triggers as 0029 has them: a text that cannot be used is told within seconds."""
    columns = {table: ", ".join(keys) for table, keys in KEYS.items()}
    differs = {table: " OR ".join(_differs(key) for key in keys) for table, keys in KEYS.items()}
    of_schedule, of_collector = TRIGGERS["schedules"], TRIGGERS["collectors"]
    if is_sqlite():
        return (
            f"""
            CREATE TRIGGER {of_schedule} AFTER UPDATE OF {columns["schedules"]} ON schedules
            WHEN {differs["schedules"]}
            BEGIN UPDATE schedules SET planned_at = NULL WHERE name = NEW.name; END
            """,
            f"""
            CREATE TRIGGER {of_collector} AFTER UPDATE OF {columns["collectors"]} ON collectors
            WHEN {differs["collectors"]}
            BEGIN
                UPDATE schedules SET planned_at = NULL
                WHERE collector = OLD.name AND planned_at IS NOT NULL;
            END
            """,
        )
    return (
        f"""
        CREATE TRIGGER {of_schedule} BEFORE UPDATE OF {columns["schedules"]} ON schedules
        FOR EACH ROW WHEN ({differs["schedules"]}) EXECUTE FUNCTION schedules_checked()
        """,
        f"""
        CREATE CONSTRAINT TRIGGER {of_collector}
        AFTER UPDATE OF {columns["collectors"]} ON collectors
        DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN ({differs["collectors"]}) EXECUTE FUNCTION collectors_named()
        """,
    )


def _differs(key: str) -> str:
    return f"OLD.{key} {'IS NOT' if is_sqlite() else 'IS DISTINCT FROM'} NEW.{key}"


def downgrade() -> None:
    """Take all of it away; files stay."""
    for table, name in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name}" + ("" if is_sqlite() else f" ON {table}"))
    op.drop_index("ix_schedules_ready_by", "schedules")
    for table, keys in KEYS.items():
        forget_edits(table)
        for key in reversed(keys):
            op.execute(f"ALTER TABLE {table} DROP COLUMN {key}")
        audit_edits(table)
    op.drop_table("results")


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
