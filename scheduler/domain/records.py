"""The nouns: what the database holds, as frozen values, and the closed lists of their states."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class RunState(StrEnum):
    """Where a run stands. docs/promise.md draws the transitions."""

    QUEUED = "queued"  # waits for its turn, its time, or the brake
    DISPATCHING = "dispatching"  # claimed; its request may be on the wire
    UNCONFIRMED = "unconfirmed"  # its request left and no readable answer came
    NEEDS_ATTENTION = "needs_attention"  # looking did not settle it: a person decides
    COLLECTING = "collecting"  # accepted; the upstream is crawling
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # written for the record, never sent


OPEN_STATES: Final = (
    RunState.QUEUED,
    RunState.DISPATCHING,
    RunState.UNCONFIRMED,
    RunState.NEEDS_ATTENTION,
    RunState.COLLECTING,
)
ENDED_STATES: Final = tuple(state for state in RunState if state not in OPEN_STATES)
UNSETTLED_STATES: Final = (RunState.DISPATCHING, RunState.UNCONFIRMED)
IN_LINE_STATES: Final = (RunState.QUEUED, *UNSETTLED_STATES, RunState.NEEDS_ATTENTION)


class Reason(StrEnum):
    """Why a run is in its state: a closed list, the same in rows, JSON and logs."""

    # queued
    DUE = "due"
    REQUESTED = "requested"  # asked for by hand
    BACKFILL = "backfill"  # asked for by hand, for a time in the past
    NOT_SENT = "not_sent"  # nothing left this machine: DNS, connect, TLS
    THROTTLED = "throttled"  # 429
    JOB_LIMIT = "job_limit"  # the collector runs all the jobs it may
    ABSENT = "absent"  # looked for and not found: to be sent again
    LEASE_ENDED = "lease_ended"  # claimed, and given back before the request left
    # unconfirmed, needs_attention
    ANSWER_LOST = "answer_lost"
    DAEMON_DIED = "daemon_died"
    SEVERAL_CANDIDATES = "several_candidates"
    LOOKUP_FAILED = "lookup_failed"
    DUPLICATE_ID = "duplicate_id"  # the upstream answered with another run's collection_id
    HELD = "held"  # not found, and the policy is to ask a person
    # collecting
    ACCEPTED = "accepted"
    ADOPTED = "adopted"  # found upstream after its answer was lost
    # succeeded, partial, failed, cancelled
    DONE = "done"
    SOME_INPUTS_FAILED = "some_inputs_failed"
    DEADLINE_REACHED = "deadline_reached"
    COLLECTION_FAILED = "collection_failed"
    COLLECTION_CANCELLED = "collection_cancelled"
    COLLECTION_GONE = "collection_gone"
    REPLACED = "replaced"  # a later confirm_cancel ended it
    REFUSED = "refused"
    BAD_CREDENTIALS = "bad_credentials"
    BAD_INPUTS = "bad_inputs"
    BAD_DEFINITION = "bad_definition"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    ABANDONED = "abandoned"  # a person or a policy gave it up unconfirmed
    CANCELLED_BY_HAND = "cancelled_by_hand"
    # skipped
    MISSED = "missed"  # nobody was there at its time, and it is too late now
    COALESCED = "coalesced"  # a later owed occurrence stands for it
    SUPERSEDED = "superseded"  # a later confirm_cancel took its place before it was sent
    OVERLAPPED = "overlapped"  # an earlier run of its schedule has not ended
    PAUSED = "paused"
    FROZEN = "frozen"
    PREDECESSOR_FAILED = "predecessor_failed"  # what it comes after did not succeed
    QUEUE_FULL = "queue_full"
    FLUSHED = "flushed"


class Outcome(StrEnum):
    """What became of one attempt."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    LOST = "lost"  # the last word until looking settles it
    ADOPTED = "adopted"
    ABSENT = "absent"
    ABANDONED = "abandoned"


OPEN_OUTCOMES: Final = (Outcome.SENDING, Outcome.LOST)


class CatchUp(StrEnum):
    """Which of several owed occurrences become runs."""

    LATEST = "latest"
    ALL = "all"
    NONE = "none"


class Overlap(StrEnum):
    """What becomes of an occurrence while an earlier run of its schedule has not ended."""

    QUEUE = "queue"  # it is sent, in order; the trigger behaviour says what the upstream does
    ALLOW = "allow"  # it is sent, and waits for nobody
    SKIP = "skip"
    QUEUE_ONE = "queue_one"  # it waits for the end; while one waits, others are skipped
    REPLACE = "replace"  # the earlier collection, ours, is cancelled by id; then it is sent


class AfterWhen(StrEnum):
    """Which ends of the schedule before it make a schedule with `after` due."""

    ENDED = "ended"
    SUCCEEDED = "succeeded"


class OnUnconfirmed(StrEnum):
    """What to do when a lost trigger was looked for and not found."""

    RESEND = "resend"
    HOLD = "hold"
    SKIP = "skip"


class QueueOrder(StrEnum):
    """Whether the head of a named queue blocks those behind it."""

    STRICT = "strict"
    RELAXED = "relaxed"


class Origin(StrEnum):
    """Who owns a definition: the TOML file, or the database and whoever edits it."""

    FILE = "file"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How to reach one upstream account. *token* is a reference such as `env:DCA_API_TOKEN`."""

    name: str
    base_url: str
    token: str
    max_in_flight: int
    requests_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """An upstream scraper we may run, with the defaults of its triggers."""

    name: str
    account: str
    collector_id: str
    deadline: str | None
    no_downloads: bool
    version: str | None
    trigger_name: str | None
    notify: str | None
    deliver: str | None
    max_running: int
    max_unsettled: int
    max_attempts: int | None
    first_pause: str | None
    longest_pause: str | None
    on_unconfirmed: OnUnconfirmed | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """Named times at which schedules do not fire; *rules* has one a line, or is an .ics text."""

    name: str
    rules: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """
    A named list of inputs: a file read at fire time, or *inputs* as JSON text.

    *file* may be a glob: the files that it matches are joined in the order of their names. In
    texts, `{due_at:%Y-%m-%d}` becomes the time the run was due; all other braces are data.
    *required* has field names with commas between them.
    """

    name: str
    file: str | None
    inputs: str | None
    send_as: str
    dedupe: bool
    max_inputs_per_trigger: int | None
    required: str | None
    max_change_percent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """
    Collector + batch + timetable + policies, and how far it has been fired.

    Every occurrence up to *fired_until* is decided; the mark only grows.
    *planned_at* is None when the row, or one that it names, was edited since the daemon last
    planned it; *edited_at* is when its timetable last was. *next_fire_at* is None when it never
    fires again.
    """

    name: str
    collector: str
    batch: str
    cron: str | None
    every: str | None
    calendar_interval: str | None
    at: str | None
    manual: bool
    after: str | None
    after_when: AfterWhen
    anchor: str | None
    timezone: str
    dst_gap: str
    dst_fold: str
    valid_from: str | None
    valid_until: str | None
    jitter: str | None
    spread: str | None
    exclude: str | None
    max_runs: int | None
    overlap: Overlap
    queue: str | None
    confirm_cancel: bool
    deadline: str | None
    no_downloads: bool | None
    version: str | None
    trigger_name: str | None
    notify: str | None
    deliver: str | None
    priority: int
    misfire_grace: str
    catch_up: CatchUp
    catch_up_window: str | None
    catch_up_max: int | None
    catch_up_pace: str | None
    pause_after_failures: int | None
    labels: str | None
    max_attempts: int | None
    first_pause: str | None
    longest_pause: str | None
    on_unconfirmed: OnUnconfirmed | None
    enabled: bool
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None
    created_at: datetime
    edited_at: datetime | None
    planned_at: datetime | None
    fired_until: datetime | None
    next_fire_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """
    A run to be written: one intended execution, whole, so that no later edit changes it.

    *query* is the exact query string of its trigger, secrets as references. *lane* is
    what its order is kept in: at most one run of a lane is on the wire or unsettled.
    After *send_before* it is not sent any more. It is not sent before the run *waits_for*
    has ended, which it *replaces*: its collection is cancelled, by id. An occurrence with
    more inputs than one trigger may have is made of several *parts*.
    """

    schedule: str | None
    due_at: datetime
    account: str
    collector: str
    collector_id: str
    batch: str | None
    body: str | None
    query: str
    queue: str | None
    confirm_cancel: bool
    lane: str | None
    labels: str | None
    priority: int
    state: RunState
    reason: Reason
    detail: str | None
    not_before: datetime
    send_before: datetime | None
    max_attempts: int
    first_pause: str
    longest_pause: str
    on_unconfirmed: OnUnconfirmed
    created_at: datetime
    ended_at: datetime | None = None
    retry_of: int | None = None
    part: int = 1
    parts: int = 1
    waits_for: int | None = None
    replaces: bool = False

    def refused(self, reason: Reason, detail: str, now: datetime) -> "NewRun":
        """Return this run as one that is written for the record and never sent."""
        return replace(self, state=RunState.SKIPPED, reason=reason, detail=detail, ended_at=now)

    def standing(self, waits_for: int | None, *, replaces: bool) -> "NewRun":
        """Return this run as one that waits for the end of another, and may replace it."""
        return replace(self, waits_for=waits_for, replaces=replaces)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunToSend:
    """As much of a run as it takes to send it and to record its answer."""

    id: int
    schedule: str | None
    account: str
    collector_id: str
    body: str | None
    query: str
    confirm_cancel: bool
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(RunToSend):
    """One intended execution: a schedule at a due time, or one asked for by hand."""

    due_at: datetime
    collector: str
    batch: str | None
    queue: str | None
    lane: str | None
    labels: str | None
    priority: int
    state: RunState
    reason: Reason
    detail: str | None
    not_before: datetime
    send_before: datetime | None
    attempts: int
    max_attempts: int
    first_pause: str
    longest_pause: str
    on_unconfirmed: OnUnconfirmed
    retry_of: int | None
    part: int
    parts: int
    waits_for: int | None
    replaces: bool
    lease_owner: str | None
    lease_until: datetime | None
    look_at: datetime | None
    looks: int
    triggered_at: datetime | None
    collection_id: str | None
    start_eta: datetime | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One trigger sent for a run; *number* is the run's fence when it was claimed.

    *request* is the exact request line, secrets as references.
    """

    run_id: int
    number: int
    daemon: str
    request: str
    outcome: Outcome
    claimed_at: datetime
    settled_at: datetime | None
    http_status: int | None
    detail: str | None
    collection_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The upstream's job that an accepted trigger became, as last seen."""

    id: str
    run_id: int
    account: str
    collector_id: str
    start_eta: datetime | None
    status: str | None
    inputs: int | None
    lines: int | None
    fails: int | None
    pages: int | None
    success_rate: float | None
    started_at: datetime | None
    finished_at: datetime | None
    accepted_at: datetime
    look_at: datetime | None
    looked_at: datetime | None
    looks: int
    replaced_by: int | None
    cancel_requested_at: datetime | None
    cancel_note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBody:
    """The inputs of one or more runs exactly as sent, found by their fingerprint."""

    fingerprint: str
    send_as: str
    row_count: int
    byte_count: int
    text: str


JsonObject = dict[str, Any]
