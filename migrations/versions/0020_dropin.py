"""What triggers that come over HTTP may be: split by their collector, or of an unknown one."""

from alembic import op

revision = "0020_dropin"
down_revision = "0019_run_counts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns in place: an SQLite table that is made anew would lose its triggers."""
    op.execute(
        "ALTER TABLE collectors ADD COLUMN max_inputs_per_trigger INTEGER"
        " CONSTRAINT ck_collectors_max_inputs_per_trigger"
        " CHECK (max_inputs_per_trigger BETWEEN 1 AND 2147483647)"
    )
    op.execute(
        "ALTER TABLE accounts ADD COLUMN accept_unknown_collectors BOOLEAN DEFAULT FALSE NOT NULL"
        " CONSTRAINT ck_accounts_accept_unknown_collectors"
        " CHECK (accept_unknown_collectors IN (FALSE, TRUE))"
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE accounts DROP COLUMN accept_unknown_collectors")
    op.execute("ALTER TABLE collectors DROP COLUMN max_inputs_per_trigger")
