"""`schedules pause` and `resume`, `freeze` and `thaw`: nothing fires, by whose word, until when."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command, Group
from scheduler.cli.options import Moment, confirm, json_option, yes_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session, person
from scheduler.domain.durations import parse_duration
from scheduler.domain.moments import moment_text

if TYPE_CHECKING:
    from scheduler.actions.pauses import WillFire

reason_option = click.option("--reason", required=True, help="Why, for whoever looks next.")
until_option = click.option("--until", type=Moment(), help="When it ends by itself.")
for_option = click.option("--for", "lasting", metavar="DURATION", help="How long, such as 2h.")


@click.command(cls=Command)
@click.argument("name")
@reason_option
@until_option
@for_option
@pass_session
def pause(
    session: Session, name: str, reason: str, until: datetime | None, lasting: str | None
) -> None:
    """
    Fire and send nothing of a schedule.

    What comes due is skipped, with this reason.
    """
    from scheduler.actions.pauses import pause_schedule

    with session.writing() as conn:
        now = session.now(conn)
        end = _end(until, lasting, now)
        pause_schedule(conn, name, by=person(), reason=reason, until=end, now=now)
    click.echo(f"schedule {name} is paused{_until(end)}")


@click.command(cls=Command)
@click.argument("name")
@yes_option
@pass_session
def resume(session: Session, name: str, yes: bool) -> None:
    """Let a paused schedule fire again; asks first."""
    from scheduler.actions.pauses import preview_resume, resume_schedule

    with session.database() as db:
        with db.reading() as conn:
            _announce([preview_resume(conn, name, now=session.now(conn))])
        confirm(f"Resume schedule {name}?", yes=yes)
        with db.writing() as conn:
            resume_schedule(conn, name, by=person(), now=session.now(conn))
    click.echo(f"schedule {name} fires again")


@click.command(cls=Command)
@click.argument("scope", metavar="all|collector:NAME|label:NAME")
@reason_option
@until_option
@for_option
@pass_session
def freeze(
    session: Session, scope: str, reason: str, until: datetime | None, lasting: str | None
) -> None:
    """
    Fire and send nothing of many schedules.

    SCOPE says of which: all, a collector's, or those with a label.
    """
    from scheduler.actions.pauses import freeze as freeze_scope

    with session.writing() as conn:
        now = session.now(conn)
        end = _end(until, lasting, now)
        count = freeze_scope(conn, scope, by=person(), reason=reason, until=end, now=now)
    click.echo(f"{scope} is frozen{_until(end)}: {count} schedule{'s' * (count != 1)}")
    if count == 0:
        click.echo(f"warning: {scope} is no schedule's now", err=True)


@click.command(cls=Command)
@click.argument("scope", metavar="all|collector:NAME|label:NAME")
@yes_option
@pass_session
def thaw(session: Session, scope: str, yes: bool) -> None:
    """
    End a freeze; asks first.

    That itself fires nothing: runs that wait are sent, and what comes due from then on.
    """
    from scheduler.actions.pauses import preview_thaw
    from scheduler.actions.pauses import thaw as thaw_scope

    with session.database() as db:
        with db.reading() as conn:
            _announce(preview_thaw(conn, scope, now=session.now(conn)))
        confirm(f"Thaw {scope}?", yes=yes)
        with db.writing() as conn:
            thaw_scope(conn, scope, by=person(), now=session.now(conn))
    click.echo(f"{scope} is no longer frozen")


@click.group(cls=Group)
def freezes() -> None:
    """Freezes: pauses of many schedules at once."""


@freezes.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List what is frozen, by whom, and why."""
    from scheduler.storage.freezes import list_freezes

    with session.reading() as conn:
        found = list_freezes(conn)
    if as_json:
        print_json(found)
        return
    columns = ("scope", "frozen_at", "frozen_by", "until", "reason")
    rows = [{name: getattr(one, name) for name in columns} for one in found]
    print_table(rows, columns, empty="nothing is frozen")


def _end(until: datetime | None, lasting: str | None, now: datetime) -> datetime | None:
    if until is not None and lasting is not None:
        raise click.UsageError("--until and --for exclude each other")
    span: timedelta | None = parse_duration(lasting) if lasting is not None else None
    return until if span is None else now + span


def _until(end: datetime | None) -> str:
    return f" until {moment_text(end)}" if end is not None else ""


def _announce(coming: "list[WillFire]") -> None:
    rows = [
        {"schedule": one.schedule, "sent at once": one.waiting, "next": one.next_fire_at}
        for one in coming
    ]
    empty = "no enabled schedule is concerned: only runs that wait are sent, this fires nothing"
    print_table(rows, ("schedule", "sent at once", "next"), empty=empty)
