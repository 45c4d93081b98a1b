"""
PostgreSQL keeps no statistics of a run's state.

Those of a quiet hour say that nothing is queued, and then every index of what is open looks alike:
one is read through where another would have been stepped into, for each run that waits. Without
them PostgreSQL takes a state to be one of two hundred.
"""

from alembic import op

revision = "0050_state_unmeasured"
down_revision = "0049_given_up"
branch_labels = None
depends_on = None

_TRIGGER = """
    SELECT pg_get_triggerdef(oid) FROM pg_trigger
    WHERE tgname = 'runs_moved' AND tgrelid = 'runs'::regclass
"""


def upgrade() -> None:
    """Forget what is known of it, and learn no more."""
    if op.get_bind().dialect.name == "postgresql":
        moved = op.get_bind().exec_driver_sql(_TRIGGER).scalar_one()
        op.execute("DROP TRIGGER runs_moved ON runs")
        # The type that it has: the old one's statistics go. The trigger stands in the way of it.
        op.execute("ALTER TABLE runs ALTER COLUMN state TYPE text")
        op.execute(moved)
        op.execute("ALTER TABLE runs ALTER COLUMN state SET STATISTICS 0")


def downgrade() -> None:
    """Learn it again."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE runs ALTER COLUMN state SET STATISTICS -1")
