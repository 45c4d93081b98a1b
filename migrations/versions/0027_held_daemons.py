"""A daemon that is held at its start is in the database, for `status` and `doctor` to tell."""

import sqlalchemy as sa
from alembic import op

revision = "0027_held_daemons"
down_revision = "0026_fewer_indexes"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "held_daemons",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process", sa.Text),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_held_daemons"),
    )


def downgrade() -> None:
    """Drop it: only the log tells of a daemon that is held."""
    op.drop_table("held_daemons")
