"""The upstream's jobs: those that accepted triggers became, and those of others."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, Table, Text

from scheduler.domain.collection_acts import CollectionAct, RequestOutcome
from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.key_columns import one_of
from scheduler.storage.metadata import added_flag, metadata, partial_index


def _of_account() -> Column[str]:
    named = ForeignKey("accounts.name", onupdate="CASCADE", ondelete="CASCADE")
    return Column("account", named, primary_key=True)


collections = Table(
    "collections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("collector_id", Text, nullable=False),
    Column("start_eta", UtcDateTime),
    Column("status", Text),
    Column("inputs", Integer),
    Column("lines", Integer),
    Column("fails", Integer),
    Column("pages", Integer),
    Column("success_rate", Float),
    # As the jobs list has them: what is billed, and whether the results are there no more.
    Column("page_loads", Integer),
    Column("failed_pages", Integer),
    added_flag("expired"),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("next_poll_at", UtcDateTime),
    Column("polled_at", UtcDateTime),
    Column("polls", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("replaced_by", ForeignKey("runs.id")),
    Column("cancel_requested_at", UtcDateTime),
    Column("cancel_note", Text),
    # How many of its inputs failed, once that was asked; and when it is asked next.
    Column("failed_inputs", Integer),
    Column("errors_due_at", UtcDateTime),
    Column("errors_asked", Integer, nullable=False, server_default="0"),
    # What is usual of its schedule tells when it should end, and when it takes too long.
    Column("expected_end_at", UtcDateTime),
    Column("overruns_at", UtcDateTime),
    partial_index(
        "ix_collections_errors", "account", "errors_due_at", where="errors_due_at IS NOT NULL"
    ),
    Index("ix_collections_run_id", "run_id"),
    partial_index("ix_collections_replaced_by", "replaced_by", where="replaced_by IS NOT NULL"),
    partial_index(
        "ix_collections_running",
        "account",
        "collector_id",
        "accepted_at",
        where="next_poll_at IS NOT NULL",
    ),
    partial_index(
        "ix_collections_poll", "account", "next_poll_at", where="next_poll_at IS NOT NULL"
    ),
    # Those that are asked about at this moment, among any number that run.
    partial_index(
        "ix_collections_leased", "account", "lease_until", where="lease_until IS NOT NULL"
    ),
)

# What a collector's jobs list last showed to run and no run has; one that a run has by now is not
# counted. It counts until `counts_until`, which each list moves on.
other_jobs = Table(
    "other_jobs",
    metadata,
    _of_account(),
    Column("collector_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("inputs", Integer),
    Column("started_by", Text),
    Column("began_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("counts_until", UtcDateTime, nullable=False),
)

# When the jobs of a collector were last listed for that, or why they could not be.
job_lists = Table(
    "job_lists",
    metadata,
    _of_account(),
    Column("collector_id", Text, primary_key=True),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("listed_at", UtcDateTime),
    Column("trouble", Text),
    partial_index("ix_job_lists_leased", "account", "lease_until", where="lease_until IS NOT NULL"),
)

# What a person asked the upstream to do with collections, and what came of it.
collection_requests = Table(
    "collection_requests",
    metadata,
    Column("id", Id, primary_key=True),
    Column("collection_id", ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("verb", Text, nullable=False),
    added_flag("failed_only"),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("why", Text),
    # Before that nobody asks the upstream; NULL once it has answered.
    Column("next_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("outcome", Text),
    Column("detail", Text),
    # The run of what a rerun made. No key: it neither keeps that nor goes with it.
    Column("made_run", Id),
    one_of("verb", CollectionAct),
    one_of("outcome", RequestOutcome),
    Index("ix_collection_requests_collection_id", "collection_id"),
    partial_index(
        "ix_collection_requests_next_at", "account", "next_at", where="next_at IS NOT NULL"
    ),
)
