"""A month that was never run, written into a demo's empty database by the schedules' own times."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.actions.pauses import pause_queue, pause_schedule
from scheduler.actions.run_defaults import run_defaults_of
from scheduler.config import Config
from scheduler.domain.batch import DueTime
from scheduler.domain.definition import check_definition, timetable_of
from scheduler.domain.new_run import Occurrence, scheduled_run
from scheduler.domain.records import NewRun, QueueOrder, Reason
from scheduler.domain.timetable.clock_changes import changes_after
from scheduler.inputs import InputFiles, iter_bodies
from scheduler.storage import definitions, schedules
from scheduler.storage.database import Connection
from scheduler.storage.past_runs import PastRun, insert_past
from scheduler.tools.demo.story import DAYS, HELD_FOR, QUEUE, SOMEBODY, STOPPED, Story

_MORE: Final = Path(__file__).parent / "schedules.toml"
_ZONES: Final = (
    *("Europe/Berlin", "America/New_York", "Australia/Sydney", "America/Santiago"),
    *("Africa/Cairo", "Africa/Casablanca", "Pacific/Auckland"),
)
_COLLECTORS: Final = ("prices", "reviews", "media")


def more_schedules(now: datetime) -> str:
    """Return the demo's own part of a configuration; one zone in it changed its clock lately."""
    return _MORE.read_text(encoding="utf-8").replace("CHANGING_ZONE", changing_zone(now))


def changing_zone(now: datetime) -> str:
    """Return a zone whose clock was set within the rehearsed days, if one of a few was."""
    begun = now - timedelta(days=DAYS)
    for name in _ZONES:
        change = next(each for each in changes_after(ZoneInfo(name), begun) if each.size)
        if change.at < now:
            return name
    return _ZONES[0]


def fill_history(conn: Connection, config: Config, *, files: InputFiles, now: datetime) -> int:
    """
    Write what the demo's schedules would have done in the last days; return how many runs.

    Raises Conflict for a database that has runs: a real one is never touched.
    """
    story = Story(now)
    new = sorted(_new_runs(conn, config, files, now), key=lambda run: run.due_at)
    told = (story.tell(run, number) for number, run in enumerate(new))
    past: list[PastRun] = [run for run in told if run is not None]
    insert_past(conn, past)
    reason = "the shop asked us to stop loading its images"
    pause_queue(conn, QUEUE, by=SOMEBODY, reason=reason, until=None, now=now - HELD_FOR)
    until = now + timedelta(days=2)
    reason = "its seller pages get a new layout"
    pause_schedule(
        conn, STOPPED, by=SOMEBODY, reason=reason, until=until, now=now - timedelta(days=1)
    )
    return len(past)


def _new_runs(
    conn: Connection, config: Config, files: InputFiles, now: datetime
) -> Iterator[NewRun]:
    """Yield the runs of the demo's schedules, as a daemon would have written them."""
    calendars = definitions.list_calendars(conn)
    for row in schedules.list_schedules(conn):
        if row.collector not in _COLLECTORS:
            continue
        whole = schedules.get_schedule(conn, row.name)
        collector, batch = check_definition(row, whole.collector, whole.batch)
        (body,) = iter_bodies(batch, DueTime(now, row.timezone), files=files)
        definitions.insert_bodies(conn, [body], now=now)
        timetable = timetable_of(row, calendars)
        for due_at in timetable.occurrences(now - timedelta(days=DAYS), now):
            starts_at = due_at + timetable.delay(due_at)
            yield scheduled_run(
                row,
                collector,
                batch,
                Occurrence(due_at=due_at, reason=Reason.DUE, not_before=starts_at),
                body=body,
                order=QueueOrder.STRICT,
                defaults=run_defaults_of(config),
                now=due_at,
            )
