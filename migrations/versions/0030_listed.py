"""What the jobs list tells of a collection: what is billed, and that its results are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0030_listed"
down_revision = "0029_limits"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns in place."""
    op.add_column("collections", sa.Column("page_loads", sa.Integer))
    op.add_column("collections", sa.Column("failed_pages", sa.Integer))
    op.execute(
        "ALTER TABLE collections ADD COLUMN expired BOOLEAN DEFAULT FALSE NOT NULL"
        " CONSTRAINT ck_collections_expired CHECK (expired IN (FALSE, TRUE))"
    )


def downgrade() -> None:
    """Drop them."""
    for column in ("expired", "failed_pages", "page_loads"):
        op.drop_column("collections", column)
