"""A canary of a batch: the first of its inputs go alone, and the others once that ended well."""

from alembic import op

from scheduler.storage.revisions import add_reasons, audit_edits, drop_reasons, forget_edits

revision = "0048_canary"
down_revision = "0047_account_questions"
branch_labels = None
depends_on = None

EVENT = "AFTER UPDATE OF canary ON batches"
# As 0003 has it for the ceilings: schedules that name an edited batch are checked again.
WATCH = {
    "sqlite": f"""
        CREATE TRIGGER batches_canary_edited {EVENT} WHEN OLD.canary IS NOT NEW.canary
        BEGIN
            UPDATE schedules SET planned_at = NULL
            WHERE batch = OLD.name AND planned_at IS NOT NULL;
        END
    """,
    "postgresql": f"""
        CREATE CONSTRAINT TRIGGER batches_canary_edited {EVENT} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (OLD.canary IS DISTINCT FROM NEW.canary) EXECUTE FUNCTION batches_named()
    """,
}


def upgrade() -> None:
    """Add the key, the mark of the runs that wait, and the reason of those that wait in vain."""
    op.execute("ALTER TABLE batches ADD COLUMN canary TEXT")
    op.execute(
        "ALTER TABLE runs ADD COLUMN after_canary BOOLEAN DEFAULT FALSE NOT NULL"
        " CONSTRAINT ck_runs_after_canary CHECK (after_canary IN (FALSE, TRUE))"
    )
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    waits = "after_canary" if is_postgresql else "after_canary = 1"
    op.execute(
        f"CREATE INDEX ix_runs_after_canary ON runs (waits_for) WHERE state = 'queued' AND {waits}"
    )
    op.execute(WATCH[op.get_bind().dialect.name])
    audit_edits("batches")
    add_reasons("canary_failed", before="flushed")


def downgrade() -> None:
    """Drop them; what was ended for that reason was superseded."""
    drop_reasons("canary_failed", before="flushed", instead="superseded")
    forget_edits("batches")
    where = " ON batches" if op.get_bind().dialect.name == "postgresql" else ""
    op.execute(f"DROP TRIGGER batches_canary_edited{where}")
    op.execute("DROP INDEX ix_runs_after_canary")
    op.execute("ALTER TABLE runs DROP COLUMN after_canary")
    op.execute("ALTER TABLE batches DROP COLUMN canary")
    audit_edits("batches")
