"""Tokens by which the HTTP surface knows who asks, and the sessions begun with them."""

import sqlalchemy as sa
from alembic import op

revision = "0014_api_tokens"
down_revision = "0013_holds"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add both tables; whoever wants to ask over HTTP makes a token first."""
    op.create_table(
        "api_tokens",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("collectors", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("last_used_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("revoked_by", sa.Text),
        sa.PrimaryKeyConstraint("name", name="pk_api_tokens"),
        sa.CheckConstraint(
            "scope IN ('read', 'trigger', 'operate', 'admin')", name=op.f("ck_api_tokens_scope")
        ),
    )
    op.create_index("uq_api_tokens_prefix", "api_tokens", ["prefix"], unique=True)
    op.create_table(
        "api_sessions",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_api_sessions"),
        sa.ForeignKeyConstraint(
            ["token"],
            ["api_tokens.name"],
            name="fk_api_sessions_token",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("kind IN ('session', 'link')", name=op.f("ck_api_sessions_kind")),
    )


def downgrade() -> None:
    """Take both away; nobody may ask over HTTP any more."""
    op.drop_table("api_sessions")
    op.drop_table("api_tokens")
