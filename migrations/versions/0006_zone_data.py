"""Daemons keep the version of the zone data by which they plan."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; of daemons from before it is not known."""
    op.add_column("daemons", sa.Column("zone_data", sa.Text()))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("daemons", "zone_data")
