"""Which inputs of a run failed and why, and runs that send just those once more."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import (
    add_reasons,
    audit_edits,
    drop_reasons,
    forget_edits,
    is_sqlite,
)

revision = "0035_failed_inputs"
down_revision = "0034_budgets"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
KEY = "retry_failed_inputs"
CHECKED = "schedules_retry_checked"
ONE_RETRY = sa.text("failed_inputs_of IS NOT NULL")
TO_ASK = sa.text("errors_due_at IS NOT NULL")
DIFFERS = {
    "sqlite": f"OLD.{KEY} IS NOT NEW.{KEY}",
    "postgresql": f"OLD.{KEY} IS DISTINCT FROM NEW.{KEY}",
}
# As 0001 has it for the other columns: a text that is no policy is told within seconds.
WATCH = {
    "sqlite": f"""
        CREATE TRIGGER {CHECKED} AFTER UPDATE OF {KEY} ON schedules WHEN {DIFFERS["sqlite"]}
        BEGIN UPDATE schedules SET planned_at = NULL WHERE name = NEW.name; END
    """,
    "postgresql": f"""
        CREATE TRIGGER {CHECKED} BEFORE UPDATE OF {KEY} ON schedules
        FOR EACH ROW WHEN ({DIFFERS["postgresql"]}) EXECUTE FUNCTION schedules_checked()
    """,
}


def upgrade() -> None:
    """Add the table and the columns; what ended before is not asked about."""
    op.create_table(
        "failed_inputs",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("error_class", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "position", name="pk_failed_inputs"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_failed_inputs_run_id"),
        sa.CheckConstraint("position BETWEEN 0 AND 2147483647", name="position"),
    )
    op.add_column("collections", sa.Column("failed_inputs", sa.Integer))
    op.add_column("collections", sa.Column("errors_due_at", MOMENT))
    op.add_column(
        "collections", sa.Column("errors_asked", sa.Integer, nullable=False, server_default="0")
    )
    _index("ix_collections_errors", "collections", ["account", "errors_due_at"], TO_ASK)
    op.add_column("runs", sa.Column("failed_inputs_of", ID))
    _index("uq_runs_failed_inputs_of", "runs", ["failed_inputs_of"], ONE_RETRY, unique=True)
    op.add_column("schedules", sa.Column(KEY, sa.Text))
    audit_edits("schedules")
    op.execute(WATCH[op.get_bind().dialect.name])
    add_reasons("failed_inputs", before="lease_ended")


def downgrade() -> None:
    """Take all of it away."""
    drop_reasons("failed_inputs", before="lease_ended", instead="requested")
    op.execute(f"DROP TRIGGER {CHECKED}" + ("" if is_sqlite() else " ON schedules"))
    forget_edits("schedules")
    op.execute(f"ALTER TABLE schedules DROP COLUMN {KEY}")
    audit_edits("schedules")
    op.drop_index("uq_runs_failed_inputs_of", "runs")
    op.drop_column("runs", "failed_inputs_of")
    op.drop_index("ix_collections_errors", "collections")
    for column in ("errors_asked", "errors_due_at", "failed_inputs"):
        op.drop_column("collections", column)
    op.drop_table("failed_inputs")


def _index(
    name: str, table: str, columns: list[str], where: sa.TextClause, *, unique: bool = False
) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
