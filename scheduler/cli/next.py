"""`next`: when a schedule, or crontab text, will be due."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import Moment, json_option
from scheduler.cli.render import moment_text, print_json, print_table
from scheduler.cli.session import Session, pass_session

if TYPE_CHECKING:
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
@json_option
@pass_session
def next_(
    session: Session,
    schedule: str | None,
    cron: str | None,
    timezone: str | None,
    start: datetime | None,
    count: int,
    as_json: bool,
) -> None:
    """Print when a SCHEDULE, or crontab text, is due next."""
    if (schedule is None) == (cron is None):
        raise click.UsageError("name a schedule, or give --cron EXPR: one of the two")
    if timezone is not None and cron is None:
        raise click.UsageError("--timezone goes with --cron: a schedule has its own")
    from scheduler.actions.timetables import list_next

    timetable, now = _timetable(session, schedule, cron, timezone)
    if start is not None and start.tzinfo is None:
        start = start.replace(tzinfo=timetable.zone)
    found = list_next(timetable, start=start or now, count=count)
    if as_json:
        print_json([{"at": one.at.isoformat(), "utc": one.utc, "dst": one.dst} for one in found])
        return
    rows = [
        {
            "at": f"{one.at:%a %Y-%m-%d %H:%M:%S %z}",
            "utc": moment_text(one.utc),
            "clock change": one.dst and one.dst.replace("_", " "),
        }
        for one in found
    ]
    columns = ("at", "utc", *(["clock change"] if any(one.dst for one in found) else []))
    print_table(rows, columns, empty="never")


def _timetable(
    session: Session, schedule: str | None, cron: str | None, timezone: str | None
) -> "tuple[Timetable, datetime]":
    from scheduler.actions.timetables import timetable_of_cron, timetable_of_schedule

    if cron is not None:
        return timetable_of_cron(cron, timezone or "UTC"), session.clock()
    with session.reading() as conn:
        return timetable_of_schedule(conn, schedule or ""), session.now(conn)
