"""Who asked for a run by hand, and the key by which a repeated request is known."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_HAS_A_KEY = sa.text("request_key IS NOT NULL")


def upgrade() -> None:
    """Add the columns; what is there was asked for by nobody knows whom."""
    for column in ("requested_by", "request_key", "request_digest"):
        op.add_column("runs", sa.Column(column, sa.Text))
    op.create_index(
        "uq_runs_request_key",
        "runs",
        ["request_key"],
        unique=True,
        sqlite_where=_HAS_A_KEY,
        postgresql_where=_HAS_A_KEY,
    )


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("uq_runs_request_key", "runs")
    for column in ("request_digest", "request_key", "requested_by"):
        op.drop_column("runs", column)
