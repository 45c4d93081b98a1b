"""Inputs that fail in each run of a schedule, and are left out."""

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import (
    add_reasons,
    audit_edits,
    drop_reasons,
    forget_edits,
    is_sqlite,
    rewrite_table,
)

revision = "0044_parked_inputs"
down_revision = "0043_unusable_accounts"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
KEY = "park_after"
CHECK = f"{KEY} BETWEEN 1 AND 2147483647"
WRITTEN = f"CONSTRAINT ck_schedules_{KEY} CHECK ({CHECK})"
PLACE = "PRIMARY KEY (name)"


def upgrade() -> None:
    """Add the table, the key, and which failed inputs were sent once more."""
    op.create_table(
        "parked_inputs",
        sa.Column("id", ID, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("input", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("error_class", sa.Text, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("parked_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_parked_inputs"),
        sa.ForeignKeyConstraint(
            ["schedule"],
            ["schedules.name"],
            name="fk_parked_inputs_schedule",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sqlite_autoincrement=True,
    )
    columns = ["schedule", "digest"]
    op.create_index("uq_parked_inputs_schedule_digest", "parked_inputs", columns, unique=True)
    op.execute(
        "ALTER TABLE failed_inputs ADD COLUMN retried BOOLEAN DEFAULT FALSE NOT NULL"
        " CONSTRAINT ck_failed_inputs_retried CHECK (retried IN (FALSE, TRUE))"
    )
    op.add_column("schedules", sa.Column(KEY, sa.Integer))
    if is_sqlite():  # in place: a table that is made anew would lose its triggers
        rewrite_table("schedules", PLACE, f"{PLACE}, {WRITTEN}")
    else:
        op.create_check_constraint(KEY, "schedules", CHECK)
    audit_edits("schedules")
    add_reasons("parked", before="stale_batch")


def downgrade() -> None:
    """Drop them."""
    drop_reasons("parked", before="stale_batch", instead="missed")
    forget_edits("schedules")
    if is_sqlite():
        rewrite_table("schedules", f"{PLACE}, {WRITTEN}", PLACE)
    else:
        op.drop_constraint(KEY, "schedules", type_="check")
    op.execute(f"ALTER TABLE schedules DROP COLUMN {KEY}")
    audit_edits("schedules")
    op.execute("ALTER TABLE failed_inputs DROP COLUMN retried")
    op.drop_table("parked_inputs")
