"""What was given up is found by an index: it is counted for each status and each scrape."""

from alembic import op

revision = "0049_given_up"
down_revision = "0048_canary"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.execute(
        "CREATE INDEX ix_deliveries_given_up ON deliveries (settled_at) WHERE outcome = 'given_up'"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX ix_deliveries_given_up")
