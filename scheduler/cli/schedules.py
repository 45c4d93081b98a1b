"""`schedules`: what fires, and when."""

from shlex import quote
from typing import Any

import click

from scheduler.actions.schedules import set_enabled
from scheduler.cli.completion import Named
from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.parked_inputs import parked, unpark
from scheduler.cli.render import answer, print_fields, print_json, print_table, tell_more, warn
from scheduler.cli.schedule_fire import fire
from scheduler.cli.schedule_override import override, overrides, print_overrides, restore
from scheduler.cli.schedule_pause import pause, resume
from scheduler.cli.session import Session, pass_session
from scheduler.domain.records import Origin
from scheduler.views.schedules import ScheduleFilter, ScheduleView, get_schedule, page_schedules

_COLUMNS = ("name", "enabled", "next fire", "timetable", "timezone", "collector", "batch")
_WHERE_SO = ("why_held", "error", "file")


@click.group(cls=Group)
def schedules() -> None:
    """Schedules: collector, batch and timetable."""


for _command in (pause, resume, override, overrides, restore, fire, parked, unpark):
    schedules.add_command(_command)


@schedules.command("list")
@click.option("--collector", metavar="NAME", type=Named("collectors"), help="Only of this one.")
@click.option("--batch", metavar="NAME", type=Named("batches"), help="Only of this batch.")
@click.option("--queue", metavar="NAME", type=Named("queues"), help="Only of this named queue.")
@click.option("--label", metavar="LABEL", help="Only those with this label.")
@click.option("--enabled/--disabled", default=None, help="Only those that are.")
@click.option("--paused", is_flag=True, default=None, help="Only those that somebody paused.")
@click.option("--invalid", is_flag=True, default=None, help="Only those that are set aside.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="How many.  [default: all]")
@click.option("--after", metavar="NAME", type=Named("schedules"), help="Go on after this one.")
@json_option
@pass_session
def list_(
    session: Session, /, limit: int | None, after: str | None, as_json: bool, **chosen: Any
) -> None:
    """List the schedules: when each is due next, what holds it."""
    wanted = ScheduleFilter(**chosen)
    page = session.ask(page_schedules, wanted, limit=limit or _ALL, after=after)
    if as_json:
        print_json(page)
        return
    rows = [_row(schedule) for schedule in page.items]
    shown = [name for name in _WHERE_SO if any(row[name] for row in rows)]
    print_table(rows, (*_COLUMNS, *shown), empty="no schedules")
    tell_more(len(rows), page.next, option="--after")


_ALL = 2**31 - 2


@schedules.command()
@click.argument("name", type=Named("schedules"))
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show all about one schedule."""
    schedule = session.ask(get_schedule, name)
    if as_json:
        print_json(schedule)
        return
    print_fields(schedule, without=("overrides",))
    if schedule.overrides:
        click.echo("\noverrides")
        print_overrides(schedule.overrides)


@schedules.command()
@click.argument("name", type=Named("schedules"))
@json_option
@pass_session
def enable(session: Session, name: str, as_json: bool) -> None:
    """Let a schedule fire again, from now on."""
    _switch(session, name, enabled=True, as_json=as_json)


@schedules.command()
@click.argument("name", type=Named("schedules"))
@json_option
@pass_session
def disable(session: Session, name: str, as_json: bool) -> None:
    """
    Fire a schedule no more until it is enabled.

    One that a file defines is switched as the file says when that is applied again, which a
    daemon does at its start: set enabled = false there too, or use pause.
    """
    _switch(session, name, enabled=False, as_json=as_json)


def _switch(session: Session, name: str, *, enabled: bool, as_json: bool) -> None:
    schedule = session.act(set_enabled, name, enabled=enabled)
    became = "enabled" if enabled else "disabled"
    answer(schedule, f"schedule {name} is {became}", as_json=as_json)
    if schedule.defined_in is not None:
        lasts = "" if enabled else f"; what lasts is dca-scheduler schedules pause {quote(name)}"
        warn(
            f"this does not outlive a start, a reload or an apply of {schedule.defined_in}, unless"
            f" that says enabled = {str(enabled).lower()} too{lasts}"
        )


def _row(schedule: ScheduleView) -> dict[str, object]:
    values = {name: getattr(schedule, name, None) for name in (*_COLUMNS, *_WHERE_SO)}
    fires = schedule.enabled and schedule.error is None
    is_unowned = schedule.origin is Origin.FILE and schedule.defined_in is None
    return values | {
        "next fire": (schedule.next_fire_skipped or schedule.next_fire_at) if fires else None,
        "file": "in none any more" if is_unowned else None,
    }
