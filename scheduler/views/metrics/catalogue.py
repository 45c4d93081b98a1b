"""Every metric that there is: what it is called, which labels it has, and what it means."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "dca_scheduler_"


class Kind(StrEnum):
    """What a metric is to Prometheus."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


_SUFFIX: Final = {Kind.COUNTER: "_total", Kind.INFO: "_info"}


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One metric; *name* lacks prefix and suffix.

    Times are seconds since 1970, everything else is seconds or a count.
    """

    kind: Kind
    name: str
    labels: tuple[str, ...]
    help: str

    @property
    def exposed(self) -> str:
        """Return its name as it is exposed; a histogram's has `_bucket`, `_sum`, `_count` too."""
        return f"{PREFIX}{self.name}{_SUFFIX.get(self.kind, '')}"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A histogram: how many were at most so long, by bound, the last +Inf; and all together."""

    buckets: tuple[tuple[str, float], ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured for one set of labels."""

    labels: tuple[str, ...]
    value: float | Distribution


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and what was measured of it; no sample where there is nothing to measure."""

    metric: Metric
    samples: tuple[Sample, ...]


def _metric(kind: Kind, name: str, help: str, *labels: str) -> Metric:
    return Metric(kind, name, labels, help)


BUILD = _metric(
    Kind.INFO,
    "build",
    "The program that answers, and the database that it reads.",
    *("version", "python", "database", "database_version"),
)

# Runs: what the history tells

RUNS_ENDED = _metric(
    Kind.COUNTER,
    "runs_ended",
    "Runs that ended. One that a late answer brings back ends twice.",
    *("state", "reason"),
)
START_DELAY = _metric(
    Kind.HISTOGRAM,
    "start_delay_seconds",
    "From when a run was meant to be sent (due, its jitter included; by hand: when it was asked"
    " for) until the upstream accepted it.",
    "origin",
)

# Runs and schedules: as they stand

OPEN_RUNS = _metric(Kind.GAUGE, "open_runs", "Runs in each state that is no end.", "state")
QUEUED_RUNS = _metric(Kind.GAUGE, "queued_runs", "Runs that wait to be sent.", "account")
OLDEST_QUEUED = _metric(
    Kind.GAUGE,
    "oldest_queued_timestamp_seconds",
    "Since when the run that was queued first waits to be sent.",
    "account",
)
OVERDUE = _metric(Kind.GAUGE, "overdue_collections", "Collections that should have ended long ago.")
OTHER_JOBS = _metric(
    Kind.GAUGE,
    "other_jobs",
    "Jobs that somebody else is known to run on our collectors.",
    "account",
)
LATE = _metric(
    Kind.GAUGE,
    "late_schedules",
    "Schedules that were due more than a minute ago and were not fired.",
)
INVALID = _metric(
    Kind.GAUGE, "invalid_rows", "Rows that are set aside because they cannot be used.", "table"
)
NEXT_FIRE = _metric(
    Kind.GAUGE,
    "schedule_next_fire_timestamp_seconds",
    "When a schedule is due next. Of the first schedules by name: [metrics] max_schedules.",
    "schedule",
)
LAST_END = _metric(
    Kind.GAUGE,
    "schedule_last_end_timestamp_seconds",
    "When a run of the schedule last ended, however; one that was skipped does not count.",
    "schedule",
)
LAST_SUCCESS = _metric(
    Kind.GAUGE,
    "schedule_last_success_timestamp_seconds",
    "When a run of the schedule last succeeded.",
    "schedule",
)

# Budgets: few, for a person writes each

BUDGET_USED = _metric(
    Kind.GAUGE,
    "budget_used",
    "What is used of the budget this month (UTC), what runs and is expected included; unit:"
    " page_loads or money.",
    *("budget", "unit"),
)
BUDGET_ALLOWED = _metric(
    Kind.GAUGE, "budget_allowed", "What the budget allows in a month.", *("budget", "unit")
)

# Accounts and their brakes

THROTTLED = _metric(
    Kind.GAUGE,
    "account_throttled",
    "Answers of 429 in five minutes, of all accounts at its base_url.",
    "account",
)
THROTTLED_LIMIT = _metric(
    Kind.GAUGE,
    "account_throttled_limit",
    "As many answers of 429 may come in five minutes; then nothing is sent.",
    "account",
)
BRAKING = _metric(
    Kind.GAUGE, "account_braking", "1 while the account's brake lets nothing through.", "account"
)
PAUSED = _metric(
    Kind.GAUGE,
    "account_paused",
    "1 while the account's sending is paused, by a person or because its token was refused.",
    "account",
)
IN_FLIGHT = _metric(
    Kind.GAUGE, "account_in_flight", "Requests of the account that may be on the wire.", "account"
)
IN_FLIGHT_LIMIT = _metric(
    Kind.GAUGE, "account_in_flight_limit", "As many may be on the wire at once.", "account"
)

# Daemons: what each tells with its heartbeat, every ten seconds

DAEMONS = _metric(Kind.GAUGE, "daemons", "Daemons that were seen within two minutes.")
DAEMON = _metric(
    Kind.INFO, "daemon", "A daemon that lives, HOST:PID.", *("daemon", "version", "zone_data")
)
STARTED = _metric(
    Kind.GAUGE, "daemon_started_timestamp_seconds", "When the daemon started.", "daemon"
)
SEEN = _metric(
    Kind.GAUGE, "daemon_seen_timestamp_seconds", "When the daemon was last seen.", "daemon"
)
TROUBLED = _metric(
    Kind.GAUGE,
    "daemon_troubled",
    "1 while the daemon cannot do something, or is in one pass for long; `status` says what.",
    "daemon",
)
LOOP_LAG = _metric(
    Kind.GAUGE,
    "daemon_loop_lag_seconds",
    "How late the daemon's event loop came to what was due, at worst in ten seconds.",
    "daemon",
)
CONFIG_LOADED = _metric(
    Kind.GAUGE,
    "config_loaded_timestamp_seconds",
    "When the daemon last loaded its configuration.",
    "daemon",
)
CONFIG_SUCCESS = _metric(
    Kind.GAUGE,
    "config_load_successful",
    "1 if the daemon's last load of its configuration succeeded.",
    "daemon",
)
REQUESTS = _metric(
    Kind.COUNTER,
    "requests",
    "Requests to the upstream by the class of their answer: 2xx, 3xx, 4xx, 429, 5xx; lost: none"
    " came; unsent: a trigger that did not leave.",
    *("account", "call", "class"),
)
REQUEST_TIME = _metric(
    Kind.HISTOGRAM,
    "request_seconds",
    "How long requests to the upstream took, the wait for a connection included.",
    "call",
)
DATABASE_TIME = _metric(
    Kind.HISTOGRAM,
    "database_seconds",
    "How long the daemons' transactions took, the waits for a lock or a due instant included.",
    "access",
)

ALERTS = _metric(
    Kind.GAUGE, "alerts_open", "What is wrong, by kind; `alerts list` says what.", "kind"
)
STALE = _metric(
    Kind.GAUGE,
    "schedules_stale",
    "Schedules whose last good result is older than their fresh_within.",
)
PARKED_INPUTS = _metric(
    Kind.GAUGE, "parked_inputs", "Inputs that enabled schedules leave out: each fails in every run."
)
UNREADY = _metric(
    Kind.GAUGE,
    "schedules_unready",
    "Schedules whose ready_by will not hold (at_risk), or did not (not_ready).",
    "kind",
)
UNSAVED = _metric(
    Kind.GAUGE,
    "results_unsaved",
    "Results that save_to asks for: waiting, failed (given up), expiring (within four days).",
    "state",
)
NOTICES_WAITING = _metric(
    Kind.GAUGE, "notices_waiting", "Notices that have not arrived yet.", "channel"
)
NOTICES_OLDEST = _metric(
    Kind.GAUGE,
    "notices_oldest_timestamp_seconds",
    "When the oldest notice that has not arrived was written.",
    "channel",
)

CATALOGUE: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))
"""All of them, in their order here."""
