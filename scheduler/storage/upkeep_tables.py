"""The tables of who works on the database, and what becomes of it: `tables` has all others."""

from sqlalchemy import JSON, Column, Float, Index, Integer, Table, Text

from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.metadata import metadata

# A backup has a row of its own moment, so that a daemon knows it wherever it is put.
restores = Table(
    "restores",
    metadata,
    Column("id", Id, primary_key=True),
    Column("backup_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("settled_by", Text),
    Column("looked_at", UtcDateTime),
    Column("unknown_jobs", Text),
)

# PostgreSQL only, one row: `origin` has what it tells. Wherever it is brought, it is another.
origins = Table(
    "origins",
    metadata,
    Column("id", Id, primary_key=True),
    Column("table_oid", Id, nullable=False),
    Column("transaction_id", Id, nullable=False),
    Column("system_identifier", Text),
    Column("timeline", Id),
)

daemons = Table(
    "daemons",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("stopped_at", UtcDateTime),
    Column("last_error", Text),
    Column("zone_data", Text),
    Column("process", Text),
    Column("loop_lag_seconds", Float),
    Column("loop_lags", JSON(none_as_null=True)),
    *(Column(f"config_{what}_at", UtcDateTime) for what in ("loaded", "refused")),
    Column("unusable_accounts", Text),
    Column("beat_count", Integer, server_default="0"),
)

# What a clock in doubt tells of is apart from `daemons`: there, the newest heartbeat is believed.
held_daemons = Table(
    "held_daemons",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process", Text),
    Column("why", Text, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)

# What is left of runs that were forgotten, for ever: written in the transaction that deletes them.
run_counts = Table(
    "run_counts",
    metadata,
    Column("day", Text, primary_key=True),
    Column("schedule", Text, primary_key=True),
    Column("collector", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("runs", Integer, nullable=False),
    Column("occurrences", Integer, nullable=False),
    Column("inputs", Id, nullable=False),
    Column("lines", Id, nullable=False),
    Column("fails", Id, nullable=False),
    Column("pages", Id, nullable=False),
    Column("last_due_at", UtcDateTime, nullable=False),
    Index("ix_run_counts_schedule", "schedule", "last_due_at"),
)

# What was accepted on a day, in UTC, and what it came to: written by who counts events.
usage = Table(
    "usage",
    metadata,
    *(
        Column(name, Text, primary_key=True)
        for name in ("day", "account", "collector", "schedule", "labels")
    ),
    *(
        Column(name, Id, nullable=False, server_default="0")
        for name in ("runs", "inputs", "pages", "paged_inputs")
    ),
    Column("last_meant_at", UtcDateTime),
)
