"""What holds a run up, or held it up before it was sent or ended, in words."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from scheduler.domain.brake import Limits, permits, refill
from scheduler.domain.durations import format_duration
from scheduler.domain.holds import Hold, brake_scope, full_scope, scopes_of
from scheduler.domain.lateness import late_by
from scheduler.domain.other_jobs import name_others
from scheduler.domain.records import ENDED_STATES, Run, RunState, ScheduleTimes
from scheduler.domain.timestamps import display_time
from scheduler.storage import accounts, definitions, holds, runs
from scheduler.storage.ahead import TOLERANCE
from scheduler.storage.database import Connection
from scheduler.storage.run_events import list_events
from scheduler.views.other_jobs import list_waited_for

_LATE = timedelta(seconds=1)
"""What starts sooner after its time is not called late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldUp:
    """What held a run up, in words, and from when to when; *until* is None while it lasts."""

    since: datetime
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Holds:
    """All that held anything up in a span of time, read once for any number of runs."""

    of_scope: Mapping[str, Sequence[Hold]]

    @classmethod
    def read(cls, conn: Connection, *, since: datetime, until: datetime) -> "Holds":
        """Read what held anything up between these two."""
        of_scope = defaultdict(list)
        for hold in holds.list_holds(conn, since=since, until=until):
            of_scope[hold.scope].append(hold)
        return cls(of_scope)

    def of(self, run: Run, *, since: datetime, until: datetime) -> list[Hold]:
        """Return what held *run* up between these two, what a person must lift first."""
        concerned = (hold for scope in scopes_of(run) for hold in self.of_scope.get(scope, ()))
        return [hold for hold in concerned if hold.overlaps(since, until)]


def why_waits(conn: Connection, run: Run, *, now: datetime) -> str | None:
    """Return what holds *run* up, the first thing that must change; None once it is sent."""
    match run.state:
        case RunState.QUEUED:
            return _what_must_change(conn, run, now) or "its turn: a daemon takes it next"
        case RunState.NEEDS_ATTENTION:
            return f"run {run.id} needs attention: {run.detail or run.reason}"
        case RunState.UNCONFIRMED:
            return f"run {run.id} may have been accepted: it is looked for ({run.reason})"
        case _:
            return None


def why_held_up(conn: Connection, run_id: int, *, now: datetime) -> str | None:
    """Return the same of the run of that id; None where a daemon takes it next."""
    run = runs.get_run(conn, run_id)
    if run.state is RunState.QUEUED:
        return _what_must_change(conn, run, now)
    return why_waits(conn, run, now=now)


def why_missed(conn: Connection, missed: Sequence[Run], *, now: datetime) -> dict[int, str]:
    """Return what has held the *missed* runs up since they were due, those that something did."""
    if not missed:
        return {}
    read = Holds.read(conn, since=min(run.due_at for run in missed), until=now)
    told = {run.id: read.of(run, since=run.due_at, until=now) for run in missed}
    return {
        run_id: "; ".join(hold.past for hold in of_run) for run_id, of_run in told.items() if of_run
    }


def list_waits(conn: Connection, of: Iterable[ScheduleTimes], *, at: datetime) -> dict[str, str]:
    """Return, by name, the schedules that wait *at* that moment for a pause or a wrong clock."""
    account_of = definitions.accounts_of_collectors(conn)
    lasting = {hold.scope: hold.present for hold in holds.list_holds(conn, since=at, until=at)}
    waits = {
        schedule.name: lasting.get(f"queue:{schedule.queue}")
        or lasting.get(f"account:{account_of.get(schedule.collector)}")
        or why_decided(schedule, at)
        for schedule in of
    }
    return {name: why for name, why in waits.items() if why is not None}


def why_decided(schedule: ScheduleTimes, at: datetime) -> str | None:
    """Say until when a schedule is decided, if that is beyond this moment; None where it is not."""
    until = schedule.fired_until
    if until is None or until <= at + TOLERANCE:
        return None
    return f"decided until {display_time(until)}: a clock is wrong, or was (dca-scheduler doctor)"


def held_up(conn: Connection, run: Run, *, now: datetime) -> tuple[HeldUp, ...]:
    """Return what held *run* up from when it was due until it was sent, ended, or until *now*."""
    since, until = run.due_at, _waited_until(run, now)
    of_run = Holds.read(conn, since=since, until=until).of(run, since=since, until=until)
    told = [HeldUp(since=hold.since, until=hold.until, why=hold.past) for hold in of_run]
    return (*told, *_behind(conn, run, until), *_sent_back(conn, run))


def how_late(conn: Connection, run: Run, *, now: datetime) -> str | None:
    """Say how late *run* started and what held it up, or what it waits for; None if nothing did."""
    late = late_by(run)
    if late is None:
        return why_waits(conn, run, now=now)
    if late < _LATE:
        return None
    seconds = timedelta(seconds=round(late.total_seconds()))
    told = "; ".join(reason.why for reason in held_up(conn, run, now=now))
    return f"it started {format_duration(seconds)} late" + (f": {told}" if told else "")


def _waited_until(run: Run, now: datetime) -> datetime:
    return run.triggered_at or run.ended_at or now


def _behind(conn: Connection, run: Run, until: datetime) -> Iterator[HeldUp]:
    """Yield the run whose end it waited for, and the last of its order that went first."""
    if run.waits_for is not None:
        ahead = runs.get_run(conn, run.waits_for)
        end = ahead.ended_at or ahead.overdue_at
        if end is None or end > run.due_at:
            why = f"it waited for the end of run {ahead.id}"
            yield HeldUp(since=run.due_at, until=end, why=why)
    first = runs.find_sent_first(conn, run, until=until)
    if first is not None:
        why = f"it was the turn of run {first.id} until {display_time(first.triggered_at or until)}"
        yield HeldUp(since=run.due_at, until=first.triggered_at, why=why)


def _sent_back(conn: Connection, run: Run) -> Iterator[HeldUp]:
    """Yield each time that it came back into the queue, until it was taken again."""
    events = list_events(conn, run.id)
    ends = [event.happened_at for event in events[1:]]
    for event, end in zip_longest(events, ends):
        if event.to_state is RunState.QUEUED and event.from_state is not None:
            detail = f" ({event.detail})" if event.detail else ""
            why = f"it was put back at {display_time(event.happened_at)}: {event.reason}{detail}"
            yield HeldUp(since=event.happened_at, until=end, why=why)


def _what_must_change(conn: Connection, run: Run, now: datetime) -> str | None:
    stops = Holds.read(conn, since=now, until=now).of(run, since=now, until=now)
    # These two are asked below as they are at this moment.
    by_itself = (full_scope(run.account, run.collector_id), brake_scope(run.account))
    stopped = next((hold for hold in stops if hold.scope not in by_itself), None)
    if stopped is not None:
        return stopped.present
    ahead = None if run.waits_for is None else runs.get_run(conn, run.waits_for)
    if ahead is not None and ahead.state not in ENDED_STATES and ahead.overdue_at is None:
        whose = "its canary, run" if run.after_canary else "run"
        return f"the end of {whose} {ahead.id}, which is {ahead.state}"
    if others := list_waited_for(conn, run, now=now):
        return f"the end of what others run: {name_others(others)}"
    if run.not_before > now:
        return f"not before {display_time(run.not_before)} ({run.reason})"
    first = runs.find_ahead(conn, run)
    if first is not None:
        return f"its turn: run {first.id} goes first, which is {first.state}"
    full = runs.list_full(conn, run, now=now).get((run.account, run.collector_id))
    if full is not None:
        return f"collector {run.collector} is full: {full}"
    braked = next((hold for hold in stops if hold.scope == brake_scope(run.account)), None)
    return _no_permit(conn, run.account, braked, now)


def _no_permit(conn: Connection, account: str, braked: Hold | None, now: datetime) -> str | None:
    row, brake = accounts.find_account(conn, account), accounts.find_brake(conn, account)
    if row is None or brake is None:
        return None
    limits = Limits(max_in_flight=row.max_in_flight, requests_per_second=row.requests_per_second)
    allowed = permits(
        refill(brake, limits, now=now),
        limits,
        now=now,
        in_flight=accounts.count_in_flight(conn, account, now=now),
        throttled_at=accounts.list_throttled(conn, account, now=now),
    )
    if allowed.waits_for is None:
        return None
    end = f" until {display_time(allowed.ask_again_at)}" if allowed.ask_again_at else ""
    why = braked.present if braked else f"account {account} sends no more"
    return f"{why} ({allowed.waits_for}{end})"
