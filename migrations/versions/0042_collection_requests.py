"""What a person asks the upstream to do with collections, and what came of it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0042_collection_requests"
down_revision = "0041_in_vain"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
TABLE = "collection_requests"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        TABLE,
        sa.Column("id", ID, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("collection_id", "account")),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column(
            "failed_only",
            sa.Boolean,
            sa.CheckConstraint("failed_only IN (FALSE, TRUE)", name="failed_only"),
            nullable=False,
            server_default=sa.text("FALSE"),
        ),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text),
        *(sa.Column(name, MOMENT) for name in ("next_at", "sent_at", "answered_at")),
        *(sa.Column(name, sa.Text) for name in ("outcome", "detail")),
        sa.Column("made_run", ID),
        sa.PrimaryKeyConstraint("id", name=f"pk_{TABLE}"),
        _key("collection_id", "collections.id", ondelete="CASCADE"),
        _key("account", "accounts.name", onupdate="CASCADE"),
        sa.CheckConstraint("verb IN ('pause', 'resume', 'rerun')", name="verb"),
        sa.CheckConstraint("outcome IN ('done', 'refused', 'lost')", name="outcome"),
    )
    op.create_index(f"ix_{TABLE}_collection_id", TABLE, ["collection_id"])
    waits = sa.text("next_at IS NOT NULL")
    op.create_index(
        f"ix_{TABLE}_next_at",
        TABLE,
        ["account", "next_at"],
        sqlite_where=waits,
        postgresql_where=waits,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table(TABLE)


def _key(column: str, refers_to: str, **how: Any) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [refers_to], name=f"fk_{TABLE}_{column}", **how)
