"""The tables of what a person stops, or has otherwise for a while: `tables` has all others."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text

from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.metadata import edits, metadata

freezes = Table(
    "freezes",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("frozen_at", UtcDateTime, nullable=False),
    Column("frozen_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", UtcDateTime),
    edits(),
    CheckConstraint(
        "scope = 'all' OR scope LIKE 'collector:%' OR scope LIKE 'label:%'", name="scope"
    ),
)

# Of what a person stops, written by triggers on the columns that stop it, whoever edits them.
holds = Table(
    "holds",
    metadata,
    Column("id", Id, primary_key=True),
    Column("scope", Text, nullable=False),
    Column("why", Text),
    Column("by", Text),
    Column("since", UtcDateTime, nullable=False),
    Column("until", UtcDateTime),
    Index("ix_holds_scope_since", "scope", "since"),
    Index("ix_holds_until", "until"),
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", Id, primary_key=True),
    Column(
        "schedule",
        ForeignKey("schedules.name", onupdate="CASCADE", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("field", Text, nullable=False),
    Column("value", Text),
    Column("made_at", UtcDateTime, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    edits(),
    Index("uq_overrides_schedule_field", "schedule", "field", unique=True),
)
