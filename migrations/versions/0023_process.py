"""A daemon's row names its process: that it is gone can be told on the same machine at once."""

import sqlalchemy as sa
from alembic import op

revision = "0023_process"
down_revision = "0022_edits_by_sql"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; the next start of each daemon fills it."""
    op.add_column("daemons", sa.Column("process", sa.Text))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("daemons", "process")
