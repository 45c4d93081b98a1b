"""The nouns: what the database holds, as frozen values, and the closed lists of their states."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar


class RunState(StrEnum):
    """Where a run stands. docs/promise.md draws the transitions."""

    QUEUED = "queued"  # waits for its turn, its time, or the brake
    DISPATCHING = "dispatching"  # claimed; its request may be on the wire
    UNCONFIRMED = "unconfirmed"  # its request left and no readable answer came
    NEEDS_ATTENTION = "needs_attention"  # looking it up did not resolve it: a person decides
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
UNRESOLVED_STATES: Final = (RunState.DISPATCHING, RunState.UNCONFIRMED)
IN_LINE_STATES: Final = (RunState.QUEUED, *UNRESOLVED_STATES, RunState.NEEDS_ATTENTION)


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
    FAILED_INPUTS = "failed_inputs"  # the inputs that failed in another run, once more
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
    NO_ROWS = "no_rows"  # it ended well, and brought nothing
    TOO_FEW_ROWS = "too_few_rows"  # fewer than min_rows, min_rows_per_input, max_fall_percent ask
    LOW_SUCCESS_RATE = "low_success_rate"  # lower than its schedule's min_success_rate
    DEADLINE_REACHED = "deadline_reached"
    COLLECTION_FAILED = "collection_failed"
    COLLECTION_CANCELLED = "collection_cancelled"
    COLLECTION_GONE = "collection_gone"
    REPLACED = "replaced"  # a later confirm_cancel ended it
    OVERRUN = "overrun"  # it took too long, and on_overrun has such cancelled
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
    OVER_LIMIT = "over_limit"  # beyond max_runs_per_day, max_inputs_per_day or min_interval
    BUDGET = "budget"  # beyond the page loads or the money of a hard budget
    NO_TIME = "no_time"  # too little was left until its finish_before
    UNCHANGED = "unchanged"  # its inputs are those of its last good run, and only_if_changed
    PARKED = "parked"  # all its inputs are: each failed in as many runs as park_after says
    STALE_BATCH = "stale_batch"  # the file of its batch is older than batch_max_age
    CANARY_FAILED = "canary_failed"  # the canary of its occurrence did not succeed
    FLUSHED = "flushed"


class Outcome(StrEnum):
    """What became of one attempt."""

    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    LOST = "lost"  # the last word until looking resolves it
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


class OnOverrun(StrEnum):
    """What becomes of a collection that outlives its deadline, or what is usual, by far."""

    TELL = "tell"
    CANCEL = "cancel"  # by id; it is told as well


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


Lasting = TypeVar("Lasting")
"""What a duration is: its text in a row, a `Duration` where it is shown."""
Names = TypeVar("Names")
"""What several names are: a text with commas in a row, a tuple where they are shown."""
Options = TypeVar("Options")
"""What an object is: JSON text in a row, a dict where it is shown."""


@dataclass(frozen=True, kw_only=True)
class LimitColumns(Generic[Lasting]):
    """How much may be sent of a schedule, a collector or an account; `limits` decides."""

    max_runs_per_day: int | None = None
    max_inputs_per_day: int | None = None
    min_interval: Lasting | None = None


@dataclass(frozen=True, kw_only=True)
class ResultColumns(LimitColumns[Lasting], Generic[Lasting]):
    """Where the results of a schedule or a collector are saved, besides its limits."""

    save_to: str | None = None
    keep_saved: Lasting | None = None


@dataclass(frozen=True, kw_only=True)
class AccountColumns(LimitColumns[Lasting], Generic[Lasting]):
    """How to reach one upstream account. *token* is a reference such as `env:DCA_API_TOKEN`."""

    name: str
    base_url: str
    token: str
    max_in_flight: int
    requests_per_second: float
    accept_unknown_collectors: bool = False
    price_per_thousand: float | None = None
    invoice: bool = False
    balance_below: float | None = None


@dataclass(frozen=True, kw_only=True)
class Account(AccountColumns[str]):
    """An account as its row has it."""


@dataclass(frozen=True, kw_only=True)
class CollectorColumns(ResultColumns[Lasting], Generic[Lasting, Options]):
    """What is known of a collector, whether it is read or shown."""

    name: str
    account: str
    collector_id: str
    deadline: Lasting | None
    no_downloads: bool
    version: str | None
    trigger_name: str | None
    notify: Options | None
    deliver: Options | None
    max_running: int
    max_unresolved: int
    max_attempts: int | None
    backoff_initial: Lasting | None
    backoff_max: Lasting | None
    on_unconfirmed: OnUnconfirmed | None
    max_inputs_per_trigger: int | None = None
    count_others: bool = True


@dataclass(frozen=True, kw_only=True)
class Collector(CollectorColumns[str, str]):
    """An upstream scraper we may run, with the defaults of its triggers."""


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Named times at which schedules do not fire; *rules* has one a line, or is an .ics text."""

    name: str
    rules: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """
    A named list of inputs: a file read at fire time, or *inputs* as JSON text.

    *file* may be a glob: the files that it matches are joined in the order of their names. In
    texts, `{due_at:%Y-%m-%d}` becomes the time the run was due; all other braces are data.
    *required* has field names with commas between them, *canary* a number of inputs or a share.
    """

    name: str
    file: str | None
    inputs: str | None
    send_as: str
    dedupe: bool
    max_inputs_per_trigger: int | None
    required: str | None
    max_change_percent: int | None
    max_inputs: int | None = None
    max_chunks: int | None = None
    canary: str | None = None


@dataclass(frozen=True, kw_only=True)
class TimesColumns(LimitColumns[Lasting], Generic[Lasting, Names]):
    """
    When a schedule is due, and whether it fires then: what who looks at all of them reads.

    Every occurrence up to *fired_until* is decided; the mark only grows.
    *planned_at* is None when the row, or one that it names, was edited since the daemon last
    planned it. *next_fire_at* is None when it never fires again.
    """

    name: str
    collector: str
    batch: str
    cron: str | None
    every: Lasting | None
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
    jitter: Lasting | None
    spread: Lasting | None
    exclude: Names
    max_runs: int | None
    queue: str | None
    only_if_changed: bool
    finish_before: str | None
    labels: Names
    enabled: bool
    paused_at: datetime | None
    paused_by: str | None
    paused_reason: str | None
    paused_until: datetime | None
    planned_at: datetime | None
    fired_until: datetime | None
    next_fire_at: datetime | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class ScheduleTimes(TimesColumns[str, str | None]):
    """As much of a schedule as its row has it."""


@dataclass(frozen=True, kw_only=True)
class ScheduleColumns(
    TimesColumns[Lasting, Names], ResultColumns[Lasting], Generic[Lasting, Names, Options]
):
    """
    Collector + batch + timetable + policies, and how far it has been fired.

    *edited_at* is when its timetable last was. *defined_in* is the file that has it, as HOST:PATH;
    None where none does.
    """

    overlap: Overlap
    confirm_cancel: bool
    deadline: Lasting | None
    no_downloads: bool | None
    version: str | None
    trigger_name: str | None
    notify: Options | None
    deliver: Options | None
    priority: int
    misfire_grace: Lasting
    catch_up: CatchUp
    catch_up_window: Lasting | None
    catch_up_max: int | None
    catch_up_pace: Lasting | None
    pause_after_failures: int | None
    batch_max_age: Lasting | None
    retry_failed_inputs: Options | None
    park_after: int | None
    min_rows: int | None
    min_rows_per_input: float | None
    min_success_rate: float | None
    max_fall_percent: int | None
    on_overrun: OnOverrun
    fresh_within: Lasting | None
    ready_by: str | None
    on_end: str | None
    max_attempts: int | None
    backoff_initial: Lasting | None
    backoff_max: Lasting | None
    on_unconfirmed: OnUnconfirmed | None
    created_at: datetime
    edited_at: datetime | None
    origin: Origin = Origin.DATABASE
    defined_in: str | None = None


@dataclass(frozen=True, kw_only=True)
class Schedule(ScheduleColumns[str, str | None, str], ScheduleTimes):
    """A schedule as its row has it."""


@dataclass(frozen=True, kw_only=True)
class RunSpec(Generic[Lasting, Names]):
    """
    What is to be done, and what became of it: whole, so that no later edit changes it.

    *query* is the exact query string of its trigger, secrets as references. *order_key* is
    what its order is kept in: at most one run of an order key is on the wire or unresolved.
    After *send_before* it is not sent any more. It is not sent before the run *waits_for*
    has ended, which it *replaces*: its collection is cancelled, by id; nor, if it
    *waits_for_others*, while jobs that no run has are known to run. An occurrence with
    more inputs than one trigger may have is made of several *chunks*. A long gap is one skipped
    run for all its *occurrences*, the first due at *due_at* and the last at *due_until*. One that
    goes *past_limits* is sent on a person's word, whatever limits and budgets say; *past_pauses*
    while its queue or schedule is paused or frozen. Its collection is to have ended by
    *finish_by_at*: what is left until then is the deadline that is sent. One *after_canary* waits
    for the first chunk of its occurrence to have ended well.
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
    order_key: str | None
    labels: Names
    priority: int
    state: RunState
    reason: Reason
    detail: str | None
    not_before: datetime
    send_before: datetime | None
    max_attempts: int
    backoff_initial: Lasting
    backoff_max: Lasting
    on_unconfirmed: OnUnconfirmed
    created_at: datetime
    ended_at: datetime | None = None
    retry_of: int | None = None
    failed_inputs_of: int | None = None
    chunk: int = 1
    chunks: int = 1
    waits_for: int | None = None
    replaces: bool = False
    due_until: datetime | None = None
    occurrences: int = 1
    past_limits: bool = False
    past_pauses: bool = False
    finish_by_at: datetime | None = None
    waits_for_others: bool = False
    after_canary: bool = False


@dataclass(frozen=True, kw_only=True)
class NewRun(RunSpec[str, str | None]):
    """A run to be written: one intended execution."""

    def made_at(self, now: datetime) -> "NewRun":
        """Return this run as it is made at another time, in a tenth of the time of `replace`."""
        made = object.__new__(NewRun)
        made.__dict__.update(self.__dict__, created_at=now)
        return made

    def refused(self, reason: Reason, detail: str, now: datetime) -> "NewRun":
        """Return this run as one that is written for the record and never sent."""
        return replace(self, state=RunState.SKIPPED, reason=reason, detail=detail, ended_at=now)

    def waiting_for(self, waits_for: int | None, *, replaces: bool, others: bool) -> "NewRun":
        """Return this run as one that waits for the end of another, and may replace it."""
        return replace(self, waits_for=waits_for, replaces=replaces, waits_for_others=others)


@dataclass(frozen=True, kw_only=True)
class RunColumns(RunSpec[Lasting, Names]):
    """What is known of a run, whether it is read or shown."""

    id: int
    attempt_count: int
    next_lookup_at: datetime | None
    triggered_at: datetime | None
    overdue_at: datetime | None
    collection_id: str | None
    start_eta: datetime | None
    created_by: str | None
    request_key: str | None


@dataclass(frozen=True, kw_only=True)
class Run(RunColumns[str, str | None]):
    """One intended execution: a schedule at a due time, or one asked for by hand."""

    fence: int
    lease_owner: str | None
    lease_until: datetime | None
    lookups: int


@dataclass(frozen=True, kw_only=True)
class RunToSend:
    """As much of a run as it takes to send it and to record its answer."""

    id: int
    schedule: str | None
    account: str
    collector_id: str
    body: str | None
    query: str
    confirm_cancel: bool
    send_before: datetime | None
    fence: int


SentRun = RunToSend | Run
"""A run whose answer is recorded, whoever has read it."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """
    One trigger sent for a run; *number* is the run's fence when it was claimed.

    *request* is the exact request line, secrets as references. *upstream_at* is what the
    upstream's own clock showed at the claim, where it had told the time before.
    """

    run_id: int
    number: int
    daemon: str
    request: str
    outcome: Outcome
    claimed_at: datetime
    upstream_at: datetime | None
    resolved_at: datetime | None
    http_status: int | None
    detail: str | None
    collection_id: str | None


@dataclass(frozen=True, kw_only=True)
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
    page_loads: int | None
    failed_pages: int | None
    expired: bool
    started_at: datetime | None
    finished_at: datetime | None
    accepted_at: datetime
    next_poll_at: datetime | None
    polled_at: datetime | None
    polls: int
    replaced_by: int | None
    cancel_requested_at: datetime | None
    cancel_note: str | None
    failed_inputs: int | None = None
    expected_end_at: datetime | None = None
    overruns_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StoredBody:
    """
    The inputs of one or more runs exactly as sent, found by their fingerprint.

    The text of a large one is not here but in the database, in the *parts* of that key.
    """

    fingerprint: str
    send_as: str
    row_count: int
    byte_count: int
    text: str = field(repr=False)
    parts: str | None = None

    @property
    def held_bytes(self) -> int:
        """How much of memory it takes."""
        return self.byte_count if self.parts is None else 0


JsonObject = dict[str, Any]
