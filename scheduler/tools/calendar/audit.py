"""What was expected of all schedules against what happened: only where the two differ."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final

from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import Calendar, Reason, Run, RunState, Schedule
from scheduler.domain.timetable import Timetable
from scheduler.storage import definitions, last_ends, readiness, schedules
from scheduler.storage.database import Connection
from scheduler.storage.runs import outturn
from scheduler.storage.runs.outturn import Due, Outturn

USUAL_SINCE: Final = timedelta(days=7)
LATE_AFTER: Final = timedelta(minutes=5)
"""What was sent so much later than it should is late."""

_DECIDED_AFTER: Final = timedelta(minutes=1)
_MOST_WALKED: Final = 20_000
_MOST_OF_ONE: Final = 2_000

_GOOD: Final = frozenset({RunState.SUCCEEDED})
_MISSED: Final = frozenset({Reason.MISSED, Reason.COALESCED})
_UNKNOWN: Final = frozenset({RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedSchedule:
    """
    What was due of a schedule, and what came of it, in occurrences.

    *unknown_count* are those of which nobody can say: looked for, left to a person, or
    *unaccounted_count*, passed without a row. *unready_count* were not ready by `ready_by`.
    *latest_seconds* is by how much the latest was late, *why* what the last that did not end well
    came to, and *last_good_at* when it last ended well.
    """

    schedule: str
    expected_count: int
    good_count: int
    open_count: int
    late_count: int
    latest_seconds: float | None
    missed_count: int
    skipped_count: int
    failed_count: int
    partial_count: int
    cancelled_count: int
    unknown_count: int
    unaccounted_count: int
    unready_count: int
    last_run_id: int | None
    why: str | None
    last_good_at: datetime | None

    @property
    def is_as_expected(self) -> bool:
        """Tell whether all that was due came, well and in time, or is still at work."""
        is_complete = self.good_count + self.open_count == self.expected_count
        return is_complete and not self.late_count and not self.unready_count


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """
    All schedules from *since* to *until*; *schedules* are those where it was not as expected.

    *schedule_count* is how many there are, *expected_count* and *good_count* are of all of them.
    *is_whole* is False where there was too much to tell which occurrences have no row. *exit_code*
    is what the command `audit` ends with: 1 if something was not as expected.
    """

    since: datetime
    until: datetime
    schedule_count: int
    expected_count: int
    good_count: int
    schedules: tuple[AuditedSchedule, ...]
    is_whole: bool
    exit_code: int


@dataclass(slots=True)
class _Sheet:
    """What is added up of one schedule."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    latest_seconds: float | None = None

    def add(self, row: Outturn) -> None:
        """Add what so many occurrences came to."""
        self.counts["expected"] += row.occurrences
        # A chunk that failed is told as well, though its occurrence counts once.
        self.counts[_kind(row)] += row.occurrences or (0 if row.state in _GOOD else row.runs)
        self.counts["late"] += row.late
        if row.latest_seconds is not None:
            self.latest_seconds = max(self.latest_seconds or 0.0, row.latest_seconds)


def read_audit(
    conn: Connection,
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    late_after: timedelta = LATE_AFTER,
) -> AuditReport:
    """Return where what happened differs from what was due, from *since* (a week) to *until*."""
    since, until = since or now - USUAL_SINCE, min(until or now, now)
    if since >= until:
        raise InvalidInput("the time to look at ends before it begins")
    sheets: dict[str, _Sheet] = defaultdict(_Sheet)
    rows = outturn.list_outturns(
        conn, since=since, until=until, late_after=late_after.total_seconds()
    )
    for row in rows:
        sheets[row.schedule].add(row)
    known = schedules.list_schedules(conn)
    unaccounted, is_whole = _unaccounted(conn, known, since, min(until, now - _DECIDED_AFTER))
    for name, count in unaccounted.items():
        sheets[name].counts["expected"] += count
        sheets[name].counts["unknown"] += count
    for name, count in readiness.count_broken(conn, since=since, until=until, now=now).items():
        sheets[name].counts["unready"] = count
    audited = _audited(conn, sheets, unaccounted, since, until)
    odd = tuple(one for one in audited if not one.is_as_expected)
    return AuditReport(
        since=since,
        until=until,
        schedule_count=len({schedule.name for schedule in known if schedule.enabled} | set(sheets)),
        expected_count=sum(one.expected_count for one in audited),
        good_count=sum(one.good_count for one in audited),
        schedules=odd,
        is_whole=is_whole,
        exit_code=1 if odd else 0,
    )


def _kind(row: Outturn) -> str:
    match row.state:
        case RunState.SUCCEEDED:
            return "good"
        case RunState.SKIPPED if row.reason is Reason.UNCHANGED:
            return "good"  # what it had is what there would be
        case RunState.PARTIAL | RunState.CANCELLED:
            return row.state.value
        case RunState.FAILED | RunState.SKIPPED if row.reason in _MISSED:
            return "missed"
        case RunState.FAILED | RunState.SKIPPED:
            return row.state.value
        case state if state in _UNKNOWN:
            return "unknown"
        case _:
            return "open"


def _audited(
    conn: Connection,
    sheets: Mapping[str, _Sheet],
    unaccounted: Mapping[str, int],
    since: datetime,
    until: datetime,
) -> list[AuditedSchedule]:
    names = sorted(sheets)
    ends = last_ends.list_last_ends(conn, names)
    troubles = {
        run.schedule: run
        for run in outturn.list_last_troubles(conn, names, since=since, until=until)
    }
    return [
        _schedule(
            name,
            sheets[name],
            unaccounted.get(name, 0),
            troubles.get(name),
            ends[name].succeeded_at if name in ends else None,
        )
        for name in names
    ]


def _schedule(
    name: str, sheet: _Sheet, unaccounted: int, run: Run | None, good_at: datetime | None
) -> AuditedSchedule:
    counts = sheet.counts
    why = None
    if run is not None:
        why = f"{run.reason}: {run.detail}" if run.detail else run.reason.value
    return AuditedSchedule(
        schedule=name,
        expected_count=counts["expected"],
        good_count=counts["good"],
        open_count=counts["open"],
        late_count=counts["late"],
        latest_seconds=sheet.latest_seconds,
        missed_count=counts["missed"],
        skipped_count=counts["skipped"],
        failed_count=counts["failed"],
        partial_count=counts["partial"],
        cancelled_count=counts["cancelled"],
        unknown_count=counts["unknown"],
        unaccounted_count=unaccounted,
        unready_count=counts["unready"],
        last_run_id=run.id if run else None,
        why=why,
        last_good_at=good_at,
    )


def _unaccounted(
    conn: Connection, known: Sequence[Schedule], since: datetime, until: datetime
) -> tuple[dict[str, int], bool]:
    """Return how many occurrences of each schedule have no row, and whether all were looked at."""
    walked = [one for one in known if one.enabled and one.after is None and one.max_runs is None]
    calendars = definitions.list_calendars(conn)
    names = [one.name for one in walked]
    found = outturn.list_due(conn, names, since=since, until=until, limit=_MOST_WALKED + 1)
    is_whole = len(found) <= _MOST_WALKED
    rows: dict[str, list[Due]] = defaultdict(list)
    for row in found:
        rows[row.schedule].append(row)
    # Where the list was cut, nobody knows of what comes behind its end.
    last = found[-1].schedule if found and not is_whole else None
    counts: dict[str, int] = {}
    for schedule in walked:
        if last is not None and schedule.name >= last:
            continue
        timetable = _timetable(schedule, calendars)
        if timetable is not None:
            begin = max(since, schedule.created_at, schedule.edited_at or schedule.created_at)
            missing = sum(1 for _ in _missing(timetable, rows[schedule.name], begin, until))
            if missing:
                counts[schedule.name] = missing
    return counts, is_whole


def _timetable(schedule: Schedule, calendars: Mapping[str, Calendar]) -> Timetable | None:
    try:
        return timetable_of(schedule, calendars)
    except InvalidInput:  # `doctor` tells of it
        return None


def _missing(
    timetable: Timetable, rows: Iterable[Due], since: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield what was due and has no row, MOST_OF_ONE occurrences looked at."""
    spans = {row.due_at: row.due_until or row.due_at for row in rows}
    covered = max((end for at, end in spans.items() if at <= since), default=since)
    due = takewhile(lambda at: at < until, _walk(timetable, max(since, covered), spans))
    yield from (at for at in islice(due, _MOST_OF_ONE) if at not in spans)


def _walk(
    timetable: Timetable, moment: datetime, spans: Mapping[datetime, datetime]
) -> Iterator[datetime]:
    following = timetable.next_after(moment)
    while following is not None:
        yield following
        following = timetable.next_after(spans.get(following, following))
