"""How many rows a run is to bring: two keys of a schedule, and the reasons of what brings fewer."""

from alembic import op

from scheduler.storage.revisions import add_reasons, drop_reasons, is_sqlite, rewrite_table

revision = "0002_rows"
down_revision = "0001"
branch_labels = None
depends_on = None

CHECKS = {
    "min_rows": "min_rows BETWEEN 0 AND 2147483647",
    "max_fall_percent": "max_fall_percent BETWEEN 0 AND 100",
}
REASONS = ("no_rows", "too_few_rows")
BEFORE = "deadline_reached"


def upgrade() -> None:
    """Add them in place: an SQLite table that is made anew would lose its triggers."""
    for column in CHECKS:
        op.execute(f"ALTER TABLE schedules ADD COLUMN {column} INTEGER")
    for column, check in CHECKS.items():
        _add_check(f"ck_schedules_{column}", check, after="max_fall_percent INTEGER")
    add_reasons(*REASONS, before=BEFORE)


def downgrade() -> None:
    """Drop them; what was ended for one of the reasons has failed, or is partial, for another."""
    op.execute("UPDATE runs SET reason = 'some_inputs_failed' WHERE reason = 'too_few_rows'")
    drop_reasons(*REASONS, before=BEFORE, instead="collection_failed")
    for column, check in CHECKS.items():
        _drop_check(f"ck_schedules_{column}", check)
        op.execute(f"ALTER TABLE schedules DROP COLUMN {column}")


def _add_check(name: str, check: str, *, after: str) -> None:
    if is_sqlite():
        rewrite_table("schedules", after, f"{after}, CONSTRAINT {name} CHECK ({check})")
    else:
        op.execute(f"ALTER TABLE schedules ADD CONSTRAINT {name} CHECK ({check})")


def _drop_check(name: str, check: str) -> None:
    if is_sqlite():
        rewrite_table("schedules", f", CONSTRAINT {name} CHECK ({check})", "")
    else:
        op.execute(f"ALTER TABLE schedules DROP CONSTRAINT {name}")
