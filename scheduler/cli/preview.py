"""`preview`: what will fire in the days to come."""

from collections.abc import Sequence

import click

from scheduler.cli.completion import Named
from scheduler.cli.lazy import Command
from scheduler.cli.options import Moment, json_option
from scheduler.cli.render import print_json, print_table, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time
from scheduler.domain.written_times import WrittenTime
from scheduler.tools.calendar.preview import Preview, SchedulePreview, preview_schedules


@click.command(cls=Command)
@click.argument("schedules", nargs=-1, type=Named("schedules"), metavar="[SCHEDULE]...")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True)
@click.option("--from", "start", type=Moment(), help="Count from this time on.  [default: now]")
@json_option
@pass_session
def preview(
    session: Session,
    schedules: Sequence[str],
    days: int,
    start: WrittenTime | None,
    as_json: bool,
) -> None:
    """
    Count what will fire in the days to come.

    Of all schedules, or of those named; by schedule, by day (each in its schedule's own zone)
    and in sum. What is paused, disabled or invalid is named with why.
    """
    only = schedules[0] if len(schedules) == 1 else None
    counted = session.ask(
        preview_schedules, schedules, days=days, start=session.instant(start, only)
    )
    if as_json:
        print_json(counted)
    else:
        _print(counted)


def _print(preview: "Preview") -> None:
    rows = [
        {
            "schedule": one.schedule,
            "runs": _count(one),
            "first": one.first_due_at,
            "note": _note(one),
        }
        for one in preview.schedules
    ]
    columns = ("schedule", "runs", "first", *(["note"] if any(r["note"] for r in rows) else []))
    print_table(rows, columns, empty="no schedules")
    if not preview.run_count:
        return
    click.echo()
    print_table(
        [{"day": f"{day:%a %Y-%m-%d}", "runs": count} for day, count in preview.days.items()],
        ("day", "runs"),
        empty="",
    )
    least = "" if preview.is_whole else "at least "
    say(f"in sum {least}{preview.run_count} runs until {display_time(preview.until)}")


def _count(schedule: "SchedulePreview") -> str:
    return str(schedule.run_count) if schedule.counted_until is None else f"{schedule.run_count}+"


def _note(schedule: "SchedulePreview") -> str | None:
    cut = None
    if schedule.counted_until is not None:
        cut = f"too many to list: counted until {display_time(schedule.counted_until)}"
    return "; ".join(text for text in (schedule.note, cut) if text) or None
