"""What the upstream tells of accounts: collectors, balance, and what it bills."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import audit_edits, forget_edits

revision = "0047_account_questions"
down_revision = "0046_past_pauses"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the keys and the tables."""
    op.execute(
        "ALTER TABLE accounts ADD COLUMN invoice BOOLEAN DEFAULT FALSE NOT NULL"
        " CONSTRAINT ck_accounts_invoice CHECK (invoice IN (FALSE, TRUE))"
    )
    op.execute(
        "ALTER TABLE accounts ADD COLUMN balance_below FLOAT"
        " CONSTRAINT ck_accounts_balance_below"
        " CHECK (balance_below > 0 AND balance_below <= 1000000000)"
    )
    audit_edits("accounts")
    op.create_table(
        "account_questions",
        *_keys("call"),
        *(sa.Column(name, MOMENT) for name in ("next_at", "asked_at", "answered_at")),
        *(sa.Column(name, sa.Text()) for name in ("trouble", "answer")),
        *_constraints("account_questions", "call"),
        sa.CheckConstraint("call IN ('collectors', 'balance', 'costs')", name="call"),
    )
    op.create_table(
        "billed",
        *_keys("day", "by", "subject"),
        sa.Column("money", sa.Float(), nullable=False),
        sa.Column("run_id", ID),
        *(sa.Column(name, sa.Text()) for name in ("schedule", "collector", "labels")),
        *_constraints("billed", "day", "by", "subject"),
        sa.CheckConstraint("by IN ('collectors', 'dca_jobs')", name="by"),
    )


def downgrade() -> None:
    """Take all of it away."""
    op.drop_table("billed")
    op.drop_table("account_questions")
    forget_edits("accounts")
    for name in ("balance_below", "invoice"):
        op.execute(f"ALTER TABLE accounts DROP COLUMN {name}")
    audit_edits("accounts")


def _keys(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in ("account", *names)]


def _constraints(table: str, *keys: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.PrimaryKeyConstraint("account", *keys, name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
            name=f"fk_{table}_account",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
    )
