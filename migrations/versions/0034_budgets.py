"""Budgets: what a month may cost; and what a thousand page loads of an account cost."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import audit_edits, forget_edits

revision = "0034_budgets"
down_revision = "0033_stops_by_sql"
branch_labels = None
depends_on = None

SCOPES = ("account", "collector", "schedule", "label")


def upgrade() -> None:
    """Add both."""
    op.execute(
        "ALTER TABLE accounts ADD COLUMN price_per_thousand FLOAT"
        " CONSTRAINT ck_accounts_price_per_thousand"
        " CHECK (price_per_thousand > 0 AND price_per_thousand <= 1000000000)"
    )
    audit_edits("accounts")
    scopes = " OR ".join(f"scope LIKE '{kind}:_%'" for kind in SCOPES)
    op.create_table(
        "budgets",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False, server_default="all"),
        sa.Column("page_loads", sa.Integer()),
        sa.Column("money", sa.Float()),
        sa.Column("mode", sa.Text(), nullable=False, server_default="soft"),
        sa.Column("origin", sa.Text(), nullable=False, server_default="database"),
        sa.Column("edits", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("name", name="pk_budgets"),
        sa.CheckConstraint(f"scope = 'all' OR {scopes}", name=op.f("ck_budgets_scope")),
        sa.CheckConstraint(
            "page_loads BETWEEN 1 AND 2147483647", name=op.f("ck_budgets_page_loads")
        ),
        sa.CheckConstraint("money > 0 AND money <= 1000000000", name=op.f("ck_budgets_money")),
        sa.CheckConstraint(
            "page_loads IS NOT NULL OR money IS NOT NULL",
            name=op.f("ck_budgets_limits_something"),
        ),
        sa.CheckConstraint("mode IN ('soft', 'hard')", name=op.f("ck_budgets_mode")),
        sa.CheckConstraint("origin IN ('file', 'database')", name=op.f("ck_budgets_origin")),
    )
    audit_edits("budgets")


def downgrade() -> None:
    """Take them away again."""
    forget_edits("budgets")
    op.drop_table("budgets")
    forget_edits("accounts")
    op.execute("ALTER TABLE accounts DROP COLUMN price_per_thousand")
    audit_edits("accounts")
