"""Jobs that somebody else runs on a collector, which count for `overlap` and `max_running`."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from scheduler.storage.revisions import audit_edits, forget_edits

revision = "0036_other_jobs"
down_revision = "0035_failed_inputs"
branch_labels = None
depends_on = None

MOMENT = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
LEASED = sa.text("lease_until IS NOT NULL")


def upgrade() -> None:
    """Add what the jobs lists show, whether it counts, and which runs wait for it."""
    _create(
        "other_jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("inputs", sa.Integer()),
        sa.Column("started_by", sa.Text()),
        *(sa.Column(name, MOMENT, nullable=False) for name in ("began_at", "seen_at")),
        sa.Column("counts_until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account", "collector_id", "id", name="pk_other_jobs"),
    )
    _create(
        "job_lists",
        *(sa.Column(name, MOMENT, nullable=False) for name in ("asked_at", "next_at")),
        sa.Column("lease_owner", sa.Text()),
        *(sa.Column(name, MOMENT) for name in ("lease_until", "listed_at")),
        sa.Column("trouble", sa.Text()),
        sa.PrimaryKeyConstraint("account", "collector_id", name="pk_job_lists"),
    )
    op.create_index(
        "ix_job_lists_leased",
        "job_lists",
        ["account", "lease_until"],
        sqlite_where=LEASED,
        postgresql_where=LEASED,
    )
    _add_flag("collectors", "count_others", "TRUE")
    audit_edits("collectors")
    _add_flag("runs", "waits_for_others", "FALSE")


def downgrade() -> None:
    """Take all of it away."""
    op.drop_column("runs", "waits_for_others")
    forget_edits("collectors")
    op.execute("ALTER TABLE collectors DROP COLUMN count_others")
    audit_edits("collectors")
    op.drop_table("job_lists")
    op.drop_table("other_jobs")


def _create(table: str, *columns: sa.Column[Any] | sa.PrimaryKeyConstraint) -> None:
    op.create_table(
        table,
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("collector_id", sa.Text(), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
            name=f"fk_{table}_account",
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
    )


def _add_flag(table: str, name: str, usual: str) -> None:
    op.execute(
        f"ALTER TABLE {table} ADD COLUMN {name} BOOLEAN DEFAULT {usual} NOT NULL"
        f" CONSTRAINT ck_{table}_{name} CHECK ({name} IN (FALSE, TRUE))"
    )
