"""`next`: when a schedule, or crontab text, will be due."""

import re
from datetime import datetime
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import Moment, json_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session
from scheduler.domain.moments import moment_text

if TYPE_CHECKING:
    from scheduler.actions.timetables import NextOccurrence
    from scheduler.domain.timetable import Timetable


@click.command("next", cls=Command)
@click.argument("schedule", required=False)
@click.option("--cron", metavar="EXPR", help="Crontab text, in place of a schedule.")
@click.option("--timezone", metavar="TZ", help="The zone of --cron.  [default: UTC]")
@click.option(
    "--from",
    "start",
    type=Moment(keep_wall=True),
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
    start: datetime | None,
    count: int,
    excluded: bool,
    as_json: bool,
) -> None:
    """
    Print when a SCHEDULE, or crontab text, is due next.

    Where jitter or spread let it start later than it is due, that time is told, too.
    """
    if (schedule is None) == (cron is None):
        raise click.UsageError("name a schedule, or give --cron EXPR: one of the two")
    if timezone is not None and cron is None:
        raise click.UsageError("--timezone goes with --cron: a schedule has its own")
    from scheduler.actions.timetables import list_next

    timetable, now = _timetable(session, schedule, cron, timezone)
    if start is not None and start.tzinfo is None:
        start = start.replace(tzinfo=timetable.zone)
    found = list_next(timetable, start=start or now, count=count, with_excluded=excluded)
    if schedule is not None:
        _tell_what_stops(session, schedule)
    if cron is not None and re.search(r"\bH\b", cron):
        click.echo("H depends on the schedule's name: a stored one has other times", err=True)
    if as_json:
        print_json([_view(one) for one in found])
        return
    rows = [_row(one) for one in found]
    columns = [name for name in _COLUMNS if name in _ALWAYS or any(row[name] for row in rows)]
    print_table(rows, columns, empty="never")


_ALWAYS = ("at", "utc")
_COLUMNS = (*_ALWAYS, "starts", "clock change", "excluded by")


def _row(one: "NextOccurrence") -> dict[str, object]:
    from scheduler.actions.timetables import dst_words

    return {
        "at": f"{one.at:%a %Y-%m-%d %H:%M:%S %z}",
        "utc": moment_text(one.utc),
        "starts": moment_text(one.starts) if one.starts != one.utc else None,
        "clock change": one.dst and dst_words(one.dst),
        "excluded by": one.excluded_by,
    }


def _view(one: "NextOccurrence") -> dict[str, object]:
    return {
        "at": one.at.isoformat(),
        "utc": one.utc,
        "starts": one.starts,
        "dst": one.dst,
        "excluded_by": one.excluded_by,
    }


def _tell_what_stops(session: Session, name: str) -> None:
    from scheduler.domain.pauses import stop_at
    from scheduler.storage import freezes, schedules

    with session.reading() as conn:
        one = schedules.get_schedule(conn, name).schedule
        stop = stop_at(session.now(conn), one, freezes.list_freezes(conn))
    if stop is not None:
        click.echo(f"what comes due is skipped: {stop.detail}", err=True)
    if not one.enabled:
        click.echo("it does not fire: it is disabled", err=True)
    if one.error is not None:
        click.echo(f"it does not fire: it is set aside: {one.error}", err=True)


def _timetable(
    session: Session, schedule: str | None, cron: str | None, timezone: str | None
) -> "tuple[Timetable, datetime]":
    from scheduler.actions.timetables import timetable_of_cron, timetable_of_schedule

    if cron is not None:
        return timetable_of_cron(cron, timezone or "UTC"), session.clock()
    with session.reading() as conn:
        return timetable_of_schedule(conn, schedule or ""), session.now(conn)
