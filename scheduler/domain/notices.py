"""What is wrong for how long, and who is told of it: alerts, rules and notices, as values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from scheduler.domain.pauses import Freeze, is_paused
from scheduler.domain.records import Reason, RunState
from scheduler.domain.timestamps import iso_time


class AlertKind(StrEnum):
    """What may be wrong with a subject; whoever adds one says in `storage/standing.py` when."""

    FAILING = "failing"  # the schedule's last run failed
    PARTIAL = "partial"  # some inputs of the last run failed, or it brought too little
    MISSED = "missed"  # occurrences were not sent in time
    OVER_LIMIT = "over_limit"  # occurrences were not sent for a limit or a budget
    PARKED = "parked"  # inputs of the schedule are left out: they fail in each run
    LATE = "late"  # it was due, and no daemon has fired
    STALE = "stale"  # its last good result is older than `fresh_within`
    OVERDUE = "overdue"  # a collection has not ended in time
    OVERRUN = "overrun"  # a collection takes longer than is usual, by far
    LATE_START = "late_start"  # a collection has not begun when the upstream promised
    OUTLASTING = "outlasting"  # a run is expected to end after its schedule's next is due
    CADENCE = "cadence"  # the runs of a schedule outlast its interval
    BEHIND = "behind"  # it is due faster than its runs begin
    NEEDS_ATTENTION = "needs_attention"  # a run waits for a person
    UNCONFIRMED = "unconfirmed"  # a trigger whose answer was lost is looked for
    INVALID = "invalid"  # the row of a schedule cannot be used
    BRAKE = "brake"  # an account sends nothing: the upstream does not answer, or with 429
    ACCOUNT_REFUSED = "account_refused"  # an account is paused, for its token
    RELOAD_REFUSED = "reload_refused"  # a daemon could not load its file
    DAEMON_SILENT = "daemon_silent"  # a daemon was not seen, and has not stopped
    AT_RISK = "at_risk"  # `ready_by` will not hold
    NOT_READY = "not_ready"  # it has not
    UNSAVED = "unsaved"  # a result could not be saved to its file
    EXPIRING = "expiring"  # the upstream soon forgets a result that is not saved
    BUDGET = "budget"  # most of a month's budget is used
    BUDGET_SPENT = "budget_spent"  # all of it is
    BALANCE = "balance"  # an account's balance is below `balance_below`


class NoticeChange(StrEnum):
    """What has become of an alert; `event` is what has no state: a run that ended, a test."""

    OPENED = "opened"
    STILL = "still"
    RECOVERED = "recovered"
    EVENT = "event"


SUCCEEDED: Final = "succeeded"
"""The notice that is only by choice: one for each run that ended well."""
RUN_ENDED: Final = "run_ended"
"""The notice of `on_end`."""
TEST: Final = "test"
"""The notice of `notify test`."""

PATIENCE: Final[Mapping[AlertKind, timedelta]] = {
    AlertKind.BRAKE: timedelta(minutes=2),
    AlertKind.UNCONFIRMED: timedelta(minutes=2),
    AlertKind.BEHIND: timedelta(minutes=2),
}
"""How long it must have lasted before anybody is told: it often passes by itself."""

OF_EVENTS: Final = frozenset(
    {
        AlertKind.FAILING,
        AlertKind.PARTIAL,
        AlertKind.MISSED,
        AlertKind.OVER_LIMIT,
        AlertKind.CADENCE,
    }
)
"""What begins and ends with a run's end; all others are looked at."""

COUNTED: Final = frozenset(
    {AlertKind.PARKED, AlertKind.BALANCE, AlertKind.BUDGET, AlertKind.BUDGET_SPENT}
)
"""What has a figure that may grow while it lasts: the newest is shown."""

_MISSED: Final = frozenset(
    {Reason.MISSED, Reason.QUEUE_FULL, Reason.NO_TIME, Reason.PARKED, Reason.STALE_BATCH}
)
_OVER_LIMIT: Final = frozenset({Reason.OVER_LIMIT, Reason.BUDGET})
NOT_SENT: Final = _MISSED | _OVER_LIMIT
"""Why an occurrence was skipped that somebody must hear of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """
    Something is wrong with *subject*: `schedules.NAME`, `accounts.NAME`, `runs.ID`, `daemons.ID`.

    *labels* are between commas, as rows have them. *since* is when it began.
    """

    kind: AlertKind
    subject: str
    since: datetime
    detail: str | None = None
    schedule: str | None = None
    collector: str | None = None
    labels: str | None = None
    run_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Observed):
    """
    What is wrong, from *since* until *recovered_at*; there is one open of a kind and subject.

    *count* is how often it was seen to happen: the runs that failed. Once it is acknowledged nobody
    is reminded, until *acked_until* or its end.
    """

    id: int
    last_at: datetime
    count: int
    recovered_at: datetime | None
    acked_at: datetime | None
    acked_by: str | None
    acked_reason: str | None
    acked_until: datetime | None

    def is_acked(self, now: datetime) -> bool:
        """Tell whether somebody has said that they know."""
        return is_paused(self.acked_at, self.acked_until, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """
    The end of a run, as far as it tells whether something is wrong.

    *has_lost_cadence* says whether its schedule's runs outlast the interval; None: it is open.
    """

    run_id: int
    happened_at: datetime
    to_state: RunState
    reason: Reason
    detail: str | None
    schedule: str | None
    collector: str
    labels: str | None
    on_end: str | None
    has_lost_cadence: bool | None = None

    @property
    def subject(self) -> str:
        """Whose end it is: that of a schedule, or of what is run by hand on a collector."""
        if self.schedule is not None:
            return f"schedules.{self.schedule}"
        return f"collectors.{self.collector}"


def opened_by(run: EndedRun) -> Observed | None:
    """Return what is wrong since a run has ended so; None where nothing is."""
    match run.to_state:
        case RunState.FAILED if run.reason not in (Reason.MISSED, Reason.NO_TIME):
            kind = AlertKind.FAILING
        case RunState.PARTIAL:
            kind = AlertKind.PARTIAL
        case RunState.FAILED | RunState.SKIPPED if run.reason in _MISSED:
            kind = AlertKind.MISSED
        case RunState.SKIPPED if run.reason in _OVER_LIMIT:
            kind = AlertKind.OVER_LIMIT
        case _ if run.reason in (Reason.OVERRUN, Reason.CANARY_FAILED):
            kind = AlertKind.FAILING
        case _:
            return None
    why = run.reason.replace("_", " ")
    return _since(run, kind, f"{why}: {run.detail}" if run.detail else why)


def cadence_lost_by(run: EndedRun) -> Observed | None:
    """Return what is wrong since the last runs of a schedule took longer than its interval."""
    if not run.has_lost_cadence:
        return None
    return _since(run, AlertKind.CADENCE, "its last three runs took longer than its interval")


def _since(run: EndedRun, kind: AlertKind, detail: str) -> Observed:
    return Observed(
        kind=kind,
        subject=run.subject,
        since=run.happened_at,
        detail=detail,
        schedule=run.schedule,
        collector=run.collector,
        labels=run.labels,
        run_id=run.run_id,
    )


def ended_by(run: EndedRun) -> frozenset[AlertKind]:
    """Return what is over since a run of the subject has ended so."""
    match run.to_state:
        case RunState.SUCCEEDED:
            return _ENDED_WELL | _in_time(run)
        case RunState.PARTIAL:
            return _ENDED_WELL - {AlertKind.PARTIAL} | _in_time(run)
        case _:
            return frozenset()


_ENDED_WELL: Final = OF_EVENTS - {AlertKind.CADENCE}


def _in_time(run: EndedRun) -> frozenset[AlertKind]:
    return frozenset({AlertKind.CADENCE} if run.has_lost_cadence is False else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    Which alerts are told in which channels.

    *schedules* are globs; with them or *labels* only what belongs to a schedule is told.
    """

    channels: tuple[str, ...]
    kinds: frozenset[str]
    schedules: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    remind_every: timedelta | None = None
    recovered: bool = True

    def concerns(self, kind: str, schedule: str | None, labels: str | None) -> bool:
        """Tell whether it is told of that kind for a schedule, or for none."""
        if kind not in self.kinds:
            return False
        if self.labels and not any(f",{label}," in (labels or "") for label in self.labels):
            return False
        return not self.schedules or any(
            fnmatchcase(schedule or "", glob) for glob in self.schedules
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotice:
    """One thing to tell in one channel; *event* is what a receiver gets, in JSON's values."""

    channel: str
    kind: str
    change: NoticeChange
    subject: str
    event: Mapping[str, Any]
    alert_id: int | None = None


Told = Mapping[tuple[int, str], datetime]
"""When an alert was last told in a channel, by both."""


def notices_of(
    alerts: Iterable[Alert],
    rules: Sequence[Rule],
    told: Told,
    freezes: Iterable[Freeze],
    *,
    now: datetime,
) -> Iterator[NewNotice]:
    """
    Yield what is to be told of *alerts*: each in each channel when it opens, lasts, and ends.

    What is frozen is told of after the thaw, if it still lasts then. What ended untold is not, but
    for what needs no patience: it happened.
    """
    active = [freeze for freeze in freezes if freeze.until is None or freeze.until > now]
    for alert in alerts:
        is_muted = any(_is_within(freeze, alert) for freeze in active)
        done: set[str] = set()
        for rule in rules:
            if rule.concerns(alert.kind, alert.schedule, alert.labels):
                for channel in rule.channels:
                    if channel not in done:
                        done.add(channel)
                        last = told.get((alert.id, channel))
                        for change in _changes(alert, rule, last, is_muted, now):
                            yield _notice(alert, channel, change)


def _changes(
    alert: Alert, rule: Rule, last: datetime | None, is_muted: bool, now: datetime
) -> Iterator[NoticeChange]:
    is_over = alert.recovered_at is not None
    if last is None:
        patience = PATIENCE.get(alert.kind, timedelta())
        lasted = (alert.recovered_at or now) - alert.since
        if is_muted or alert.is_acked(now) or lasted < patience:
            return
        yield NoticeChange.OPENED
    elif not is_over and _is_to_remind(alert, rule, last, now) and not is_muted:
        yield NoticeChange.STILL
    if is_over and rule.recovered:
        yield NoticeChange.RECOVERED


def _is_to_remind(alert: Alert, rule: Rule, last: datetime, now: datetime) -> bool:
    every = rule.remind_every
    return every is not None and now - last >= every and not alert.is_acked(now)


def _is_within(freeze: Freeze, alert: Alert) -> bool:
    return freeze.holds(alert.collector or "", alert.labels)


def _notice(alert: Alert, channel: str, change: NoticeChange) -> NewNotice:
    return NewNotice(
        channel=channel,
        kind=alert.kind,
        change=change,
        subject=alert.subject,
        event=event_of(alert, change),
        alert_id=alert.id,
    )


def event_of(alert: Alert, change: NoticeChange) -> dict[str, Any]:
    """Return what a receiver is told of an alert."""
    return {
        "kind": alert.kind.value,
        "change": change.value,
        "subject": alert.subject,
        "schedule": alert.schedule,
        "collector": alert.collector,
        "labels": [label for label in (alert.labels or "").split(",") if label],
        "since": iso_time(alert.since),
        "recovered_at": alert.recovered_at and iso_time(alert.recovered_at),
        "count": alert.count,
        "detail": alert.detail,
        "run_id": alert.run_id,
        "alert_id": alert.id,
    }


def events_of_end(
    run: EndedRun, rules: Iterable[Rule], freezes: Iterable[Freeze], *, now: datetime
) -> Iterator[NewNotice]:
    """Yield a notice for each channel that wants to hear of each run that ended well."""
    if run.to_state is not RunState.SUCCEEDED:
        return
    if any(
        freeze.holds(run.collector, run.labels)
        for freeze in freezes
        if freeze.until is None or freeze.until > now
    ):
        return
    channels = {
        channel
        for rule in rules
        if rule.concerns(SUCCEEDED, run.schedule, run.labels)
        for channel in rule.channels
    }
    for channel in sorted(channels):
        event = {
            "kind": SUCCEEDED,
            "change": NoticeChange.EVENT.value,
            "subject": run.subject,
            "schedule": run.schedule,
            "collector": run.collector,
            "labels": [label for label in (run.labels or "").split(",") if label],
            "since": iso_time(run.happened_at),
            "detail": run.detail or run.reason.value,
            "run_id": run.run_id,
        }
        yield NewNotice(
            channel=channel,
            kind=SUCCEEDED,
            change=NoticeChange.EVENT,
            subject=run.subject,
            event=event,
        )


_BACKOFF_FIRST: Final = timedelta(seconds=5)
_BACKOFF_LONGEST: Final = timedelta(minutes=10)


def pause_after(attempts: int) -> timedelta:
    """Return how long a delivery that failed so often waits: 5 s, doubling up to 10 minutes."""
    return min(_BACKOFF_FIRST * (1 << min(attempts - 1, 12)), _BACKOFF_LONGEST)


def title_of(events: Sequence[Mapping[str, Any]]) -> str:
    """Return one line for a message: what it says if it is one thing, else how many of each."""
    if len(events) == 1:
        return _line(events[0], with_detail=False)
    counts: dict[str, int] = {}
    for event in events:
        words = _words(event)
        counts[words] = counts.get(words, 0) + 1
    return ", ".join(f"{count} {words}" for words, count in counts.items())


def text_of(events: Sequence[Mapping[str, Any]]) -> str:
    """Return a message for people: a line for each thing, MOST_LINES at most."""
    lines = [_line(event, with_detail=True) for event in events[:MOST_LINES]]
    if len(events) > MOST_LINES:
        lines.append(f"… and {len(events) - MOST_LINES} more")
    return "\n".join(lines)


MOST_LINES: Final = 50


def _line(event: Mapping[str, Any], *, with_detail: bool) -> str:
    subject = str(event.get("schedule") or event.get("subject") or "")
    line = f"{subject} {_words(event)}".strip()
    detail = event.get("detail")
    if event.get("change") == NoticeChange.RECOVERED:
        detail = f"since {event.get('since')}, {event.get('count', 1)} in all"
    return f"{line}: {detail}" if with_detail and detail else line


def _words(event: Mapping[str, Any]) -> str:
    kind = str(event["kind"]).replace("_", " ")
    match event.get("change"):
        case NoticeChange.RECOVERED:
            return f"recovered ({kind})"
        case NoticeChange.STILL:
            return f"still {kind}"
        case _:
            return kind
