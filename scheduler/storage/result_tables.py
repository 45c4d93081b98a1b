"""The results of runs that are saved to files, or are to be."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from scheduler.domain.results import ResultState
from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.key_columns import one_of
from scheduler.storage.metadata import metadata, partial_index

# No key to the run: what was saved may be removed long after its run is forgotten.
results = Table(
    "results",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("collection_id", Text, nullable=False),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("schedule", Text),
    Column("collector", Text, nullable=False),
    Column("labels", Text),
    Column("due_at", UtcDateTime, nullable=False),
    # Below the folder of [results]; NULL where `save_to` makes no path.
    Column("path", Text),
    Column("keep_saved", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("attempt_count", Integer, nullable=False, server_default="0"),
    # Before that nobody tries: it is also the lease of who does.
    Column("next_attempt_at", UtcDateTime),
    Column("lease_owner", Text),
    # Written before the file gets its name, so that a daemon that finds it there knows it.
    Column("host", Text),
    Column("row_count", Id),
    Column("byte_count", Id),
    Column("sha256", Text),
    Column("settled_at", UtcDateTime),
    Column("remove_at", UtcDateTime),
    one_of("state", ResultState),
    partial_index(
        "ix_results_next_attempt", "next_attempt_at", where="next_attempt_at IS NOT NULL"
    ),
    partial_index("ix_results_remove", "host", "remove_at", where="remove_at IS NOT NULL"),
    partial_index("ix_results_unsaved", "run_id", where="state IN ('waiting', 'failed')"),
    Index("ix_results_settled_at", "settled_at"),
)
