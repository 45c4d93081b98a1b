"""Ceilings of what an occurrence of a batch may send; empty means the program's own."""

from alembic import op

revision = "0003"
down_revision = "0002_rows"
branch_labels = None
depends_on = None

COLUMNS = ("max_inputs", "max_chunks")
CHANGED = {
    "sqlite": " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in COLUMNS),
    "postgresql": " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in COLUMNS),
}
EVENT = f"AFTER UPDATE OF {', '.join(COLUMNS)} ON batches"
# As 0001 has it for the other columns: schedules that name an edited batch are checked again.
WATCH = {
    "sqlite": f"""
        CREATE TRIGGER batches_ceilings_edited {EVENT} WHEN {CHANGED["sqlite"]}
        BEGIN
            UPDATE schedules SET planned_at = NULL
            WHERE batch = OLD.name AND planned_at IS NOT NULL;
        END
    """,
    "postgresql": f"""
        CREATE CONSTRAINT TRIGGER batches_ceilings_edited {EVENT} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN ({CHANGED["postgresql"]}) EXECUTE FUNCTION batches_named()
    """,
}


def upgrade() -> None:
    """Add the columns in place: an SQLite table that is made anew would lose its triggers."""
    for name in COLUMNS:
        op.execute(
            f"ALTER TABLE batches ADD COLUMN {name} INTEGER CONSTRAINT ck_batches_{name}"
            f" CHECK ({name} BETWEEN 1 AND 2147483647)"
        )
    op.execute(WATCH[op.get_bind().dialect.name])


def downgrade() -> None:
    """Drop them."""
    where = " ON batches" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER batches_ceilings_edited{where}")
    for name in COLUMNS:
        op.execute(f"ALTER TABLE batches DROP COLUMN {name}")
