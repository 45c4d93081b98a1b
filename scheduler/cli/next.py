"""`next`: when a schedule, or crontab text, will be due."""

import re
from datetime import datetime
from typing import Any

import click

from scheduler.cli.completion import Named
from scheduler.cli.lazy import Command
from scheduler.cli.options import Moment, json_option
from scheduler.cli.render import print_json, print_table, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time
from scheduler.domain.timetable import Timetable
from scheduler.domain.written_times import WrittenTime
from scheduler.tools.calendar.next import (
    NextOccurrence,
    dst_words,
    list_next,
    runs_left,
    stops_of,
    timetable_of_cron,
    timetable_of_schedule,
    what_stops,
)


@click.command("next", cls=Command)
@click.argument("schedule", required=False, type=Named("schedules"))
@click.option("--cron", metavar="EXPR", help="Crontab text, in place of a schedule.")
@click.option("--timezone", metavar="TZ", help="The zone of --cron.  [default: UTC]")
@click.option(
    "--from",
    "start",
    type=Moment(),
    help="Count from this time, without an offset in the timetable's zone.  [default: now]",
)
@click.option("--count", type=click.IntRange(1, 10_000), default=10, show_default=True)
@click.option(
    "--excluded", is_flag=True, help="Also those that a calendar excludes, and which calendar."
)
@json_option
@pass_session
def next_(
    session: Session,
    schedule: str | None,
    cron: str | None,
    timezone: str | None,
    start: WrittenTime | None,
    count: int,
    excluded: bool,
    as_json: bool,
) -> None:
    """
    Print when a SCHEDULE, or crontab text, is due next.

    Where jitter or spread let it start later than it is due, that time is told, too, and what
    excludes it: calendars are about when a schedule is due, not about when its run is sent.
    """
    if (schedule is None) == (cron is None):
        raise click.UsageError("name a schedule, or give --cron EXPR: one of the two")
    if timezone is not None and cron is None:
        raise click.UsageError("--timezone goes with --cron: a schedule has its own")

    timetable, now, limits = _timetable(session, schedule, cron, timezone)
    occurrences = list_next(
        timetable,
        start=now if start is None else start.at(now, timetable.zone),
        now=now,
        count=count,
        with_excluded=excluded,
        **limits,
    )
    if schedule is not None:
        _tell_what_stops(session, schedule)
    if cron is not None and re.search(r"\bH\b", cron):
        click.echo("H depends on the schedule's name: a stored one has other times", err=True)
    if as_json:
        print_json(occurrences)
        return
    rows = [_row(occurrence) for occurrence in occurrences]
    columns = [name for name in _COLUMNS if name in _ALWAYS or any(row[name] for row in rows)]
    print_table(rows, columns, empty="never")


_ALWAYS = ("local", "utc")
_COLUMNS = (*_ALWAYS, "skipped", "starts", "starts within", "clock change", "excluded by")


def _row(occurrence: NextOccurrence) -> dict[str, object]:
    return {
        "local": f"{datetime.fromisoformat(occurrence.due_local):%a %Y-%m-%d %H:%M:%S %z}",
        "utc": display_time(occurrence.due_at),
        "skipped": occurrence.skipped,
        "starts": display_time(occurrence.starts_at)
        if occurrence.starts_at != occurrence.due_at
        else None,
        "starts within": occurrence.starts_within,
        "clock change": occurrence.dst and dst_words(occurrence.dst),
        "excluded by": occurrence.excluded_by,
    }


def _tell_what_stops(session: Session, name: str) -> None:
    for sentence in session.ask(what_stops, name):
        say(sentence, err=True)


def _timetable(
    session: Session, schedule: str | None, cron: str | None, timezone: str | None
) -> tuple[Timetable, datetime, dict[str, Any]]:
    if cron is not None:
        return timetable_of_cron(cron, timezone or "UTC"), session.clock(), {}
    with session.reading() as conn:
        name = schedule or ""
        limits = {"left": runs_left(conn, name), "stops": stops_of(conn, name)}
        return timetable_of_schedule(conn, name), session.now(conn), limits
