"""Schedules keep which file has them, so that one that leaves it can be told."""

import sqlalchemy as sa
from alembic import op

revision = "0010_defined_in"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the next start or `apply` of each file fills it."""
    op.add_column("schedules", sa.Column("defined_in", sa.Text))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("schedules", "defined_in")
