"""A request under an Idempotency-Key is carried out once, and answered the same again."""

import sqlalchemy as sa
from alembic import op

revision = "0025_request_answers"
down_revision = "0024_restore_lookup"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "request_answers",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("token", "key", name="pk_request_answers"),
    )
    op.create_index("ix_request_answers_created_at", "request_answers", ["created_at"])


def downgrade() -> None:
    """Drop it: a request that is repeated is carried out again."""
    op.drop_table("request_answers")
