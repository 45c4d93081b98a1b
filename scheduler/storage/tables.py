"""
The tables, made to be read and edited by people.

Names are keys, times are UTC, durations and crontab text stand as people write
them, NULL means "the default". Columns below `-- kept by the daemon` in
docs/database.md are its own; everything else may be edited at any time.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    Table,
    Text,
    and_,
    literal_column,
    text,
)

from scheduler.config.limit_keys import LimitKeys
from scheduler.config.result_keys import ResultKeys
from scheduler.config.schedule_keys import PolicyKeys, TimetableKeys
from scheduler.domain.records import (
    ENDED_STATES,
    IN_LINE_STATES,
    OPEN_OUTCOMES,
    OPEN_STATES,
    UNRESOLVED_STATES,
    OnUnconfirmed,
    Origin,
    Outcome,
    QueueOrder,
    Reason,
    RunState,
)
from scheduler.storage.access_tables import api_sessions as api_sessions
from scheduler.storage.access_tables import api_tokens as api_tokens
from scheduler.storage.account_tables import account_questions as account_questions
from scheduler.storage.account_tables import billed as billed
from scheduler.storage.body_tables import bodies as bodies
from scheduler.storage.body_tables import failed_inputs as failed_inputs
from scheduler.storage.body_tables import parked_inputs as parked_inputs
from scheduler.storage.budget_tables import price_column
from scheduler.storage.collection_tables import collection_requests as collection_requests
from scheduler.storage.collection_tables import collections as collections
from scheduler.storage.dialect import Id, UtcDateTime
from scheduler.storage.key_columns import LARGEST, boolean, key_columns, one_of, quoted
from scheduler.storage.metadata import added_flag, edits
from scheduler.storage.metadata import metadata as metadata
from scheduler.storage.metadata import partial_index as _partial
from scheduler.storage.notice_tables import alerts as alerts
from scheduler.storage.notice_tables import deliveries as deliveries
from scheduler.storage.notice_tables import notices as notices
from scheduler.storage.result_tables import results as results
from scheduler.storage.stop_tables import freezes as freezes
from scheduler.storage.stop_tables import holds as holds
from scheduler.storage.stop_tables import overrides as overrides
from scheduler.storage.upkeep_tables import daemons as daemons
from scheduler.storage.upkeep_tables import restores as restores


def _number(column: str, *, least: int = 1) -> CheckConstraint:
    return CheckConstraint(f"{column} BETWEEN {least} AND {LARGEST}", name=column)


def _state_in(states: Iterable[str]) -> str:
    return f"state IN ({quoted(states)})"


def in_state(table: FromClause, *states: RunState) -> ColumnElement[bool]:
    """
    Tell whether a run of *table* (runs, or an alias of it) is in one of *states*.

    The states stand in the SQL itself: neither database uses a partial index for a condition
    whose value it learns only when the statement is carried out.
    """
    values: list[ColumnElement[str]] = [literal_column(f"'{state}'") for state in states]
    return table.c.state == values[0] if len(values) == 1 else table.c.state.in_(values)


def _exactly_one_timetable() -> str:
    texts = ("cron", "every", "calendar_interval", "at", "after")
    given = [f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END" for column in texts]
    return " + ".join((*given, "CASE WHEN manual THEN 1 ELSE 0 END")) + " = 1"


def _origin() -> Column[str]:
    return Column("origin", Text, nullable=False, server_default=Origin.DATABASE)


def _of_account(**options: Any) -> Column[str]:
    named = ForeignKey("accounts.name", onupdate="CASCADE", ondelete="CASCADE")
    return Column("account", named, **options)


accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("base_url", Text, nullable=False, server_default="https://api.brightdata.com"),
    Column("token", Text, nullable=False),
    Column("max_in_flight", Integer, nullable=False, server_default="32"),
    Column("requests_per_second", Float, nullable=False, server_default="20"),
    added_flag("accept_unknown_collectors"),
    price_column("price_per_thousand"),
    added_flag("invoice"),
    price_column("balance_below"),
    *key_columns(LimitKeys, added=True),
    _origin(),
    edits(),
    CheckConstraint(
        "token LIKE 'env:%' OR token LIKE 'file:%' OR token LIKE 'credential:%'",
        name="token_is_a_reference",
    ),
    _number("max_in_flight"),
    CheckConstraint(
        "requests_per_second > 0 AND requests_per_second <= 1000000", name="requests_per_second"
    ),
    one_of("origin", Origin),
)

brakes = Table(
    "brakes",
    metadata,
    _of_account(primary_key=True),
    Column("tokens", Float, nullable=False, server_default="1"),
    Column("refilled_at", UtcDateTime),
    Column("open_until", UtcDateTime),
    Column("trips", Integer, nullable=False, server_default="0"),
    Column("consecutive_losses", Integer, nullable=False, server_default="0"),
    Column("slow_start", Integer),
    Column("paused_at", UtcDateTime),
    Column("paused_reason", Text),
    Column("paused_token", Text),
    Column("paused_by", Text),
    Column("paused_until", UtcDateTime),
)

throttles = Table(
    "throttles",
    metadata,
    Column("id", Id, primary_key=True),
    _of_account(nullable=False),
    Column("happened_at", UtcDateTime, nullable=False),
    # Nobody saw the answer: its daemon died. It counts once another 429 was seen.
    Column("suspected", boolean("suspected"), nullable=False, server_default=text("FALSE")),
    Index("ix_throttles_account_happened_at", "account", "happened_at"),
)

collectors = Table(
    "collectors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("collector_id", Text, nullable=False),
    Column("deadline", Text),
    Column("no_downloads", boolean("no_downloads"), nullable=False, server_default=text("FALSE")),
    Column("version", Text),
    Column("trigger_name", Text),
    Column("notify", Text),
    Column("deliver", Text),
    Column("max_running", Integer, nullable=False, server_default="100"),
    Column("max_unresolved", Integer, nullable=False, server_default="1"),
    Column("max_attempts", Integer),
    Column("backoff_initial", Text),
    Column("backoff_max", Text),
    Column("on_unconfirmed", Text),
    Column("max_inputs_per_trigger", Integer, _number("max_inputs_per_trigger")),
    *key_columns(ResultKeys, added=True),
    *key_columns(LimitKeys, added=True),
    added_flag("count_others", usual=True),
    _origin(),
    edits(),
    CheckConstraint("collector_id LIKE 'c\\_%' ESCAPE '\\'", name="collector_id"),
    CheckConstraint("version IN ('dev')", name="version"),
    _number("max_running"),
    _number("max_unresolved"),
    _number("max_attempts"),
    one_of("on_unconfirmed", OnUnconfirmed),
    one_of("origin", Origin),
    Index("ix_collectors_collector_id", "account", "collector_id"),
)

calendars = Table(
    "calendars",
    metadata,
    Column("name", Text, primary_key=True),
    Column("rules", Text, nullable=False),
    _origin(),
    edits(),
    one_of("origin", Origin),
)

batches = Table(
    "batches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("file", Text),
    Column("inputs", Text),
    Column("send_as", Text, nullable=False, server_default="json"),
    Column("dedupe", boolean("dedupe"), nullable=False, server_default=text("FALSE")),
    Column("max_inputs_per_trigger", Integer),
    Column("required", Text),
    Column("max_change_percent", Integer),
    Column("max_inputs", Integer, _number("max_inputs")),
    Column("max_chunks", Integer, _number("max_chunks")),
    Column("canary", Text),
    _origin(),
    edits(),
    _number("max_inputs_per_trigger"),
    _number("max_change_percent", least=0),
    CheckConstraint("(file IS NULL) <> (inputs IS NULL)", name="file_or_inputs"),
    one_of("send_as", ("json", "csv", "multipart")),
    one_of("origin", Origin),
)

queues = Table(
    "queues",
    metadata,
    Column("name", Text, primary_key=True),
    Column("queue_order", Text, nullable=False, server_default=QueueOrder.STRICT),
    Column("max_depth", Integer),
    _origin(),
    edits(),
    Column("paused_at", UtcDateTime),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    Column("paused_until", UtcDateTime),
    one_of("queue_order", QueueOrder),
    _number("max_depth"),
    one_of("origin", Origin),
)

_LIMITED = " OR ".join(f"{name} IS NOT NULL" for name in LimitKeys.model_fields)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("collector", ForeignKey("collectors.name", onupdate="CASCADE"), nullable=False),
    Column("batch", ForeignKey("batches.name", onupdate="CASCADE"), nullable=False),
    *key_columns(TimetableKeys),
    Column("queue", Text),
    Column(
        "confirm_cancel", boolean("confirm_cancel"), nullable=False, server_default=text("FALSE")
    ),
    Column("deadline", Text),
    Column("no_downloads", boolean("no_downloads")),
    Column("version", Text),
    Column("trigger_name", Text),
    Column("notify", Text),
    Column("deliver", Text),
    *key_columns(PolicyKeys),
    *key_columns(ResultKeys, added=True),
    *key_columns(LimitKeys, added=True),
    Column("max_attempts", Integer),
    Column("backoff_initial", Text),
    Column("backoff_max", Text),
    Column("on_unconfirmed", Text),
    Column("enabled", boolean("enabled"), nullable=False, server_default=text("TRUE")),
    _origin(),
    edits(),
    # HOST:PATH of the file that has it; NULL where none does.
    Column("defined_in", Text),
    Column("paused_at", UtcDateTime),
    Column("paused_by", Text),
    Column("paused_reason", Text),
    Column("paused_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False, server_default=text("CURRENT_TIMESTAMP")),
    Column("edited_at", UtcDateTime),
    Column("planned_at", UtcDateTime),
    Column("fired_until", UtcDateTime),
    Column("next_fire_at", UtcDateTime),
    Column("error", Text),
    CheckConstraint(_exactly_one_timetable(), name="one_timetable"),
    CheckConstraint(
        "anchor IS NULL OR every IS NOT NULL OR calendar_interval IS NOT NULL",
        name="anchor_needs_a_beat",
    ),
    CheckConstraint("queue IS NULL OR NOT confirm_cancel", name="one_behaviour"),
    CheckConstraint("queue <> ''", name="queue"),
    CheckConstraint("version IN ('dev')", name="version"),
    _number("max_attempts"),
    one_of("on_unconfirmed", OnUnconfirmed),
    one_of("origin", Origin),
    Index("ix_schedules_collector", "collector"),
    Index("ix_schedules_batch", "batch"),
    # What is due, and what was edited: both stay small however many are stored.
    _partial(
        "ix_schedules_due",
        "next_fire_at",
        where="enabled = 1 AND error IS NULL",
        postgresql_where="enabled AND error IS NULL",
    ),
    _partial("ix_schedules_paused_until", "paused_until", where="paused_until IS NOT NULL"),
    _partial("ix_schedules_after", "after", where="after IS NOT NULL"),
    # An edited calendar asks who excludes it.
    _partial("ix_schedules_exclude", "exclude", where="exclude IS NOT NULL"),
    # Whoever applies a file reads what files own, and not a million others.
    _partial("ix_schedules_of_files", "name", where="origin = 'file'"),
    _partial("ix_schedules_invalid", "name", where="error IS NOT NULL"),
    _partial("ix_schedules_limited", "name", where=_LIMITED),
    _partial("ix_schedules_unplanned", "name", where="planned_at IS NULL"),
    _partial("ix_schedules_fresh_within", "name", where="fresh_within IS NOT NULL"),
    _partial("ix_schedules_ready_by", "name", where="ready_by IS NOT NULL"),
)

_ENDED = f"({_state_in(ENDED_STATES)})"
_ONE_IN_FLIGHT = _state_in(UNRESOLVED_STATES)
_WAITING = "state = 'queued'"
_STOPPED = "state = 'needs_attention'"
_HAS_GRACE = "state = 'queued' AND send_before IS NOT NULL"
_HAS_FINISH = "state = 'queued' AND finish_by_at IS NOT NULL"
_UNCONFIRMED = "state = 'unconfirmed'"
_IN_LINE = _state_in(IN_LINE_STATES)
_OPEN = _state_in(OPEN_STATES)
_COLLECTING = "state = 'collecting'"
_OVERDUE = "state = 'collecting' AND overdue_at IS NOT NULL"
_LOST = "(state = 'failed' OR state = 'skipped' AND reason = 'missed')"
LOST = text(_LOST)
"""What an operator must hear of: written as its index has it."""

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("schedule", Text),
    Column("due_at", UtcDateTime, nullable=False),
    Column("account", ForeignKey("accounts.name", onupdate="CASCADE"), nullable=False),
    Column("collector", Text, nullable=False),
    Column("collector_id", Text, nullable=False),
    Column("batch", Text),
    Column("body", ForeignKey("bodies.fingerprint")),
    Column("query", Text, nullable=False),
    Column("queue", Text),
    Column(
        "confirm_cancel", boolean("confirm_cancel"), nullable=False, server_default=text("FALSE")
    ),
    Column("order_key", Text),
    Column("labels", Text),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text),
    Column("not_before", UtcDateTime, nullable=False),
    Column("send_before", UtcDateTime),
    Column("finish_by_at", UtcDateTime),
    Column("attempt_count", Integer, nullable=False, server_default="0"),
    Column("max_attempts", Integer, nullable=False),
    Column("backoff_initial", Text, nullable=False),
    Column("backoff_max", Text, nullable=False),
    Column("on_unconfirmed", Text, nullable=False),
    Column("retry_of", ForeignKey("runs.id")),
    # Beside retry_of, which holds the reference.
    Column("failed_inputs_of", Id),
    Column("chunk", Integer, nullable=False, server_default="1"),
    Column("chunks", Integer, nullable=False, server_default="1"),
    Column("waits_for", ForeignKey("runs.id")),
    Column("replaces", boolean("replaces"), nullable=False, server_default=text("FALSE")),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_owner", Text),
    Column("lease_until", UtcDateTime),
    Column("next_lookup_at", UtcDateTime),
    Column("lookups", Integer, nullable=False, server_default="0"),
    Column("triggered_at", UtcDateTime),
    # Its collection has outlived its deadline, or any sane time: it holds up nobody any more.
    Column("overdue_at", UtcDateTime),
    Column("collection_id", Text),
    Column("start_eta", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    # Of a run asked for by hand: by whom, and what a repeated request is known by.
    Column("created_by", Text),
    Column("request_key", Text),
    Column("request_digest", Text),
    # Of a long gap that is one skipped run: when its last occurrence was due, and how many it had.
    Column("due_until", UtcDateTime),
    Column("occurrences", Integer, nullable=False, server_default="1"),
    # On a person's word, whatever limits and budgets say.
    added_flag("past_limits"),
    added_flag("past_pauses"),
    added_flag("waits_for_others"),
    # Until the first chunk of its occurrence has ended well; then it is let go.
    added_flag("after_canary"),
    # Who made the last change of the state, and when. A client that counts no move is not ours.
    Column("moves", Integer, nullable=False, server_default="0"),
    Column("moved_at", UtcDateTime),
    Column("moved_by", Text),
    one_of("state", RunState),
    one_of("reason", Reason),
    one_of("on_unconfirmed", OnUnconfirmed),
    CheckConstraint(f"{_ENDED} = (ended_at IS NOT NULL)", name="ended_has_a_time"),
    CheckConstraint(
        "state <> 'dispatching' OR (lease_owner IS NOT NULL AND lease_until IS NOT NULL)",
        name="dispatching_has_a_lease",
    ),
    CheckConstraint(
        "state NOT IN ('collecting', 'succeeded', 'partial') OR collection_id IS NOT NULL",
        name="accepted_has_a_collection",
    ),
    CheckConstraint("body IS NOT NULL OR state IN ('failed', 'skipped')", name="sent_has_a_body"),
    CheckConstraint(
        "state <> 'unconfirmed' OR next_lookup_at IS NOT NULL", name="unconfirmed_is_looked_for"
    ),
    # The backstop of order: one run of an order key on the wire or unresolved.
    _partial("uq_runs_order_key_in_flight", "order_key", where=_ONE_IN_FLIGHT, unique=True),
    # What a claim reads follows open work; only the last five below grow with history.
    _partial(
        "ix_runs_waiting",
        "account",
        "collector_id",
        text("priority DESC"),
        "due_at",
        "id",
        where=_WAITING,
    ),
    _partial("ix_runs_ready", "not_before", where=_WAITING),
    _partial("ix_runs_finish_by_at", "finish_by_at", where=_HAS_FINISH),
    _partial("ix_runs_too_late", "send_before", where=_HAS_GRACE),
    _partial(
        "ix_runs_replacing",
        "account",
        "confirm_cancel",
        "collector_id",
        where="state = 'queued' AND confirm_cancel = 1",
        postgresql_where="state = 'queued' AND confirm_cancel",
    ),
    _partial("ix_runs_in_line", "order_key", "priority", "due_at", "id", where=_IN_LINE),
    _partial(
        "ix_runs_to_replace",
        "waits_for",
        where="state = 'queued' AND replaces = 1",
        postgresql_where="state = 'queued' AND replaces",
    ),
    _partial(
        "ix_runs_after_canary",
        "waits_for",
        where="state = 'queued' AND after_canary = 1",
        postgresql_where="state = 'queued' AND after_canary",
    ),
    _partial("ix_runs_gaps", "schedule", "due_until", where="due_until IS NOT NULL"),
    _partial("ix_runs_stopped", "order_key", where=_STOPPED),
    _partial("ix_runs_unresolved", "account", "collector_id", where=_ONE_IN_FLIGHT),
    # All that is asked of what runs: SQLite would read each row for its state.
    _partial(
        *("ix_runs_collecting", "account", "collector_id", "overdue_at", "state"),
        where=_COLLECTING,
    ),
    _partial("ix_runs_overdue", "id", where=_OVERDUE),
    _partial("ix_runs_lost", "ended_at", where=_LOST),
    _partial("ix_runs_lookup", "next_lookup_at", where=_UNCONFIRMED),
    _partial("ix_runs_schedule_open", "schedule", where=_OPEN),
    Index("ix_runs_schedule_id", "schedule", "id"),
    _partial("ix_runs_schedule_ended_at", "schedule", "ended_at", where="ended_at IS NOT NULL"),
    _partial("ix_runs_waits_for", "waits_for", where="waits_for IS NOT NULL"),
    # The inputs that failed in a run are sent once more by one run at most.
    _partial(
        "uq_runs_failed_inputs_of",
        "failed_inputs_of",
        where="failed_inputs_of IS NOT NULL",
        unique=True,
    ),
    _partial("ix_runs_retry_of", "retry_of", where="retry_of IS NOT NULL"),
    Index("ix_runs_body", "body"),
)

ON_THE_WIRE = and_(in_state(runs, RunState.DISPATCHING), in_state(runs, *UNRESOLVED_STATES))
"""Claimed: said so that SQLite knows the index of what is unresolved to hold it."""

# One run an occurrence, or one each of its chunks; retries by hand stand beside it.
ONE_RUN_PER_OCCURRENCE = _partial(
    "uq_runs_schedule_due_at_chunk",
    runs.c.schedule,
    runs.c.due_at,
    runs.c.chunk,
    where="retry_of IS NULL",
    unique=True,
)

# A request that is repeated under its key is the same run.
ONE_RUN_PER_KEY = _partial(
    "uq_runs_request_key", runs.c.request_key, where="request_key IS NOT NULL", unique=True
)

# Written by triggers on `runs` alone, and never changed. They go with their run.
run_events = Table(
    "run_events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("happened_at", UtcDateTime, nullable=False),
    Column("run_id", Id, nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text),
    Column("by", Text, nullable=False),
    # PostgreSQL's number of the transaction: ids may become visible out of order, these do not.
    Column("transaction_id", Id, nullable=False, server_default="0"),
    Index("ix_run_events_run_id", "run_id", "id"),
    # Elsewhere all are of one transaction, and in the order of their ids.
    Index("ix_run_events_order", "transaction_id", "id").ddl_if(dialect="postgresql"),
    # An id is never given again, though the last events may go with their runs.
    sqlite_autoincrement=True,
)

event_cursors = Table(
    "event_cursors",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("transaction_id", Id, nullable=False),
    Column("event_id", Id, nullable=False),
)

# What metrics count: a daemon's own, or of no writer (''), and then it only grows.
tallies = Table(
    "tallies",
    metadata,
    *(Column(name, Text, primary_key=True) for name in ("metric", "labels", "writer")),
    Column("value", Float, nullable=False),
)

last_ends = Table(
    "last_ends",
    metadata,
    Column("schedule", Text, primary_key=True),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("succeeded_at", UtcDateTime),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("daemon", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("upstream_at", UtcDateTime),
    Column("resolved_at", UtcDateTime),
    Column("http_status", Integer),
    Column("detail", Text),
    Column("collection_id", Text),
    one_of("outcome", Outcome),
    CheckConstraint(
        f"(outcome IN ({quoted(OPEN_OUTCOMES)})) = (resolved_at IS NULL)",
        name="resolved_has_a_time",
    ),
    CheckConstraint(
        "(outcome IN ('accepted', 'adopted')) = (collection_id IS NOT NULL)",
        name="accepted_has_a_collection",
    ),
    _partial("uq_attempts_one_open", "run_id", where="resolved_at IS NULL", unique=True),
)

changes = Table(
    "changes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("happened_at", UtcDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text),
    Index("ix_changes_subject_happened_at", "subject", "happened_at"),
)
