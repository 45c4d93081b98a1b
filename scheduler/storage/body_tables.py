"""The tables of what was sent: bodies, and the parts of large ones."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text

from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.metadata import added_flag, metadata

_IN_PARTS = text("parts IS NOT NULL")
_FIRST = text("number = 1")

bodies = Table(
    "bodies",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("send_as", Text, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("byte_count", Id, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("parts", Text),
    CheckConstraint("send_as IN ('json', 'csv', 'multipart')", name="send_as"),
    Index("ix_bodies_parts", "parts", sqlite_where=_IN_PARTS, postgresql_where=_IN_PARTS),
)

# They come before it is known what body they make, so there is no reference to it.
body_parts = Table(
    "body_parts",
    metadata,
    Column("parts", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("text", Text, nullable=False),
    CheckConstraint("number BETWEEN 1 AND 2147483647", name="number"),
    Index("ix_body_parts_begun", "created_at", sqlite_where=_FIRST, postgresql_where=_FIRST),
)

# Which of a run's inputs brought nothing, and why; they go with their run.
failed_inputs = Table(
    "failed_inputs",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("input", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("error_class", Text, nullable=False),
    # Sent once more, by the run of `failed_inputs_of`.
    added_flag("retried"),
    CheckConstraint("position BETWEEN 0 AND 2147483647", name="position"),
)

# Inputs that a schedule leaves out, for they failed in each of its last runs.
parked_inputs = Table(
    "parked_inputs",
    metadata,
    Column("id", Id, primary_key=True),
    Column(
        "schedule",
        ForeignKey("schedules.name", onupdate="CASCADE", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("digest", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("error_class", Text, nullable=False),
    # No key: it outlives its run.
    Column("run_id", Id, nullable=False),
    Column("parked_at", UtcDateTime, nullable=False),
    # An id is never given again: who unparks by an old list means the input of then.
    sqlite_autoincrement=True,
)
ONE_PARKED = Index(
    "uq_parked_inputs_schedule_digest",
    parked_inputs.c.schedule,
    parked_inputs.c.digest,
    unique=True,
)
