"""`schedules pause` and `resume`, `freeze` and `thaw`: nothing fires, by whose word, until when."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import click

from scheduler.actions.pauses import freeze as freeze_scope
from scheduler.actions.pauses import pause_schedule, resume_schedule
from scheduler.actions.pauses import thaw as thaw_scope
from scheduler.cli.completion import Named
from scheduler.cli.lazy import Command, Group
from scheduler.cli.options import (
    ask_if_needed,
    ending_options,
    json_option,
    reason_option,
    yes_option,
)
from scheduler.cli.render import answer, print_listing, print_table, until_words, warn
from scheduler.cli.session import Session, pass_session
from scheduler.views.resuming import ResumingView, preview_resume, preview_thaw
from scheduler.views.schedules import ScheduleView, list_freezes

_scope = click.argument("scope", metavar="all|collector:NAME|label:NAME")


@click.command(cls=Command)
@click.argument("name", type=Named("schedules"))
@reason_option
@ending_options
@json_option
@pass_session
def pause(session: Session, name: str, reason: str, until: datetime | None, as_json: bool) -> None:
    """
    Fire and send nothing of a schedule.

    What comes due is skipped, with this reason.
    """
    schedule = session.act(pause_schedule, name, reason=reason, until=until)
    answer(schedule, f"schedule {name} is paused{until_words(until)}", as_json=as_json)


@click.command(cls=Command)
@click.argument("name", type=Named("schedules"))
@yes_option
@json_option
@pass_session
def resume(session: Session, name: str, yes: bool, as_json: bool) -> None:
    """Let a paused schedule fire again; asks first where runs wait."""
    _announce([session.ask(preview_resume, name)])
    schedule = ask_if_needed(partial(session.act, resume_schedule, name), yes=yes)
    answer(schedule, f"schedule {name} {_what_it_does(schedule)}", as_json=as_json)


def _what_it_does(schedule: ScheduleView) -> str:
    if not schedule.enabled:
        return "is no longer paused, but disabled: it does not fire"
    if schedule.error is not None:
        return f"is no longer paused, but invalid: {schedule.error}"
    if schedule.why_held is not None:
        return f"is no longer paused, but held: {schedule.why_held}"
    return "fires again"


@click.command(cls=Command)
@_scope
@reason_option
@ending_options
@json_option
@pass_session
def freeze(
    session: Session, scope: str, reason: str, until: datetime | None, as_json: bool
) -> None:
    """
    Fire and send nothing of many schedules.

    SCOPE says of which: all, a collector's, or those with a label.
    """
    count = session.act(freeze_scope, scope, reason=reason, until=until)
    text = f"{scope} is frozen{until_words(until)}: {count} schedule{'s' * (count != 1)}"
    answer({"scope": scope, "until": until, "schedule_count": count}, text, as_json=as_json)
    if count == 0:
        warn(f"{scope} is no schedule's now")


@click.command(cls=Command)
@_scope
@yes_option
@json_option
@pass_session
def thaw(session: Session, scope: str, yes: bool, as_json: bool) -> None:
    """
    End a freeze; asks first where runs wait.

    That itself fires nothing: runs that wait are sent, and what comes due from then on.
    """
    _announce(session.ask(preview_thaw, scope))
    ask_if_needed(partial(session.act, thaw_scope, scope), yes=yes)
    answer({"scope": scope}, f"{scope} is no longer frozen", as_json=as_json)


@click.group(cls=Group)
def freezes() -> None:
    """Freezes: pauses of many schedules at once."""


@freezes.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List what is frozen, by whom, and why."""
    columns = ("scope", "frozen_at", "frozen_by", "until", "reason")
    print_listing(session.ask(list_freezes), columns, empty="nothing is frozen", as_json=as_json)


def _announce(coming: Sequence[ResumingView]) -> None:
    rows = [
        {
            "schedule": each.schedule,
            "sent at once": each.waiting_count,
            "next": each.next_fire_skipped or each.next_fire_at,
        }
        for each in coming
    ]
    empty = "no enabled schedule is concerned: only runs that wait are sent, this fires nothing"
    columns = ("schedule", "sent at once", "next")
    # Before the act: a reader who goes away must not prevent it.
    print_table(rows, columns, empty=empty, to_stderr=True)
