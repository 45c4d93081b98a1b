"""`preview`: what will fire in the days to come."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session
from scheduler.domain.moments import moment_text

if TYPE_CHECKING:
    from scheduler.actions.preview import Preview, SchedulePreview


@click.command(cls=Command)
@click.argument("schedules", nargs=-1, metavar="[SCHEDULE]...")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True)
@json_option
@pass_session
def preview(session: Session, schedules: Sequence[str], days: int, as_json: bool) -> None:
    """
    Count what will fire in the days to come.

    Of all schedules, or of those named; by schedule, by day (each in its schedule's own zone)
    and in sum. What is paused, disabled or set aside is named with why.
    """
    from scheduler.actions.preview import preview_schedules

    with session.reading() as conn:
        found = preview_schedules(conn, schedules, days=days, now=session.now(conn))
    if as_json:
        print_json(_view(found))
    else:
        _print(found)


def _print(found: "Preview") -> None:
    rows = [
        {"schedule": one.schedule, "runs": _count(one), "first": one.first, "note": _note(one)}
        for one in found.schedules
    ]
    columns = ("schedule", "runs", "first", *(["note"] if any(r["note"] for r in rows) else []))
    print_table(rows, columns, empty="no schedules")
    if not found.runs:
        return
    click.echo()
    print_table(
        [{"day": f"{day:%a %Y-%m-%d}", "runs": count} for day, count in found.days.items()],
        ("day", "runs"),
        empty="",
    )
    least = "" if found.is_whole else "at least "
    click.echo(f"in sum {least}{found.runs} runs until {moment_text(found.end)}")


def _count(one: "SchedulePreview") -> str:
    return str(one.runs) if one.counted_until is None else f"{one.runs}+"


def _note(one: "SchedulePreview") -> str | None:
    cut = None
    if one.counted_until is not None:
        cut = f"too many to list: counted until {moment_text(one.counted_until)}"
    return "; ".join(text for text in (one.note, cut) if text) or None


def _view(found: "Preview") -> dict[str, object]:
    return {
        "start": found.start,
        "end": found.end,
        "runs": found.runs,
        "is_whole": found.is_whole,
        "days": {day.isoformat(): count for day, count in found.days.items()},
        "schedules": [
            {
                "schedule": one.schedule,
                "timezone": one.timezone,
                "runs": one.runs,
                "first": one.first,
                "days": {day.isoformat(): count for day, count in one.days.items()},
                "counted_until": one.counted_until,
                "note": one.note,
            }
            for one in found.schedules
        ],
    }
