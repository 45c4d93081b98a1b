"""`schedules`: what fires, and when."""

from datetime import datetime

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import print_fields, print_json, print_table
from scheduler.cli.schedule_override import override, overrides, print_overrides, restore
from scheduler.cli.schedule_pause import pause, resume
from scheduler.cli.session import Session, pass_session, person
from scheduler.domain.pauses import Freeze, stop_at
from scheduler.domain.records import Schedule

_COLUMNS = ("name", "enabled", "next fire", "timetable", "timezone", "collector", "batch")
_WHERE_SO = ("held", "error")


@click.group(cls=Group)
def schedules() -> None:
    """Schedules: collector, batch and timetable."""


for _command in (pause, resume, override, overrides, restore):
    schedules.add_command(_command)


@schedules.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the schedules, their next times, and what holds them."""
    from scheduler.storage import schedules as stored
    from scheduler.storage.freezes import list_freezes

    with session.reading() as conn:
        now = session.now(conn)
        found = stored.list_schedules(conn)
        frozen = list_freezes(conn)
    if as_json:
        print_json(found)
        return
    rows = [{**_row(one), "held": _held(one, frozen, now)} for one in found]
    columns = (*_COLUMNS, *(name for name in _WHERE_SO if any(row[name] for row in rows)))
    print_table(rows, columns, empty="no schedules")


@schedules.command()
@click.argument("name")
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show all about one schedule."""
    from dataclasses import asdict

    from scheduler.actions.overrides import list_overrides
    from scheduler.storage import schedules as stored

    with session.reading() as conn:
        found = asdict(stored.get_schedule(conn, name).schedule)
        in_force = list_overrides(conn, name, now=session.now(conn))
    if as_json:
        print_json({**found, "overrides": in_force})
        return
    print_fields(found)
    if in_force:
        click.echo("\noverrides")
        print_overrides(in_force)


@schedules.command()
@click.argument("name")
@pass_session
def fire(session: Session, name: str) -> None:
    """Fire a schedule now, beside its timetable."""
    from scheduler.actions.fallbacks import fallbacks_of
    from scheduler.actions.schedules import fire_schedule
    from scheduler.actions.waiting import why_held
    from scheduler.storage.runs import get_run

    fallbacks = fallbacks_of(session.load().config)
    with session.writing() as conn:
        written = fire_schedule(conn, name, fallbacks=fallbacks, by=person(), now=session.now(conn))
        held = why_held(conn, get_run(conn, written[0]), now=session.now(conn))
    click.echo(f"schedule {name} fires: run {', '.join(map(str, written))}")
    if held:
        click.echo(f"it waits: {held}", err=True)


@schedules.command()
@click.argument("name")
@pass_session
def enable(session: Session, name: str) -> None:
    """Let a schedule fire again, from now on."""
    _switch(session, name, enabled=True)


@schedules.command()
@click.argument("name")
@pass_session
def disable(session: Session, name: str) -> None:
    """
    Fire a schedule no more until it is enabled.

    One that a file defines is switched as the file says when that is applied again, which a
    daemon does at its start: set enabled = false there too, or use pause.
    """
    _switch(session, name, enabled=False)


def _switch(session: Session, name: str, *, enabled: bool) -> None:
    from scheduler.actions import schedules as actions

    with session.writing() as conn:
        actions.set_enabled(conn, name, enabled=enabled, by=person(), now=session.now(conn))
    click.echo(f"schedule {name} is {'enabled' if enabled else 'disabled'}")


def _held(one: Schedule, frozen: list[Freeze], now: datetime) -> str | None:
    stop = stop_at(now, one, frozen)
    return None if stop is None else stop.reason.value


def _row(one: Schedule) -> dict[str, object]:
    return {
        "name": one.name,
        "enabled": one.enabled,
        "next fire": one.next_fire_at if one.enabled and one.error is None else None,
        "timetable": timetable_text(one),
        "timezone": one.timezone,
        "collector": one.collector,
        "batch": one.batch,
        "error": one.error,
    }


def timetable_text(one: Schedule) -> str:
    """Say when a schedule is due, in the words of its row."""
    if one.cron is not None:
        return one.cron
    if one.every is not None:
        return f"every {one.every}"
    if one.at is not None:
        return f"at {one.at}"
    if one.after is not None:
        return f"after {one.after}"
    return one.calendar_interval or "manual"
