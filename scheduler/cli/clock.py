"""`clock`: the way back from a clock that was wrong."""

from functools import partial

import click

from scheduler.actions.clock_reset import ResetSchedule, preview_reset
from scheduler.actions.clock_reset import reset as reset_clock
from scheduler.cli.lazy import Command, Group
from scheduler.cli.options import ask_if_needed, json_option, yes_option
from scheduler.cli.render import print_json, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time


@click.group(cls=Group)
def clock() -> None:
    """The time that schedules go by, where a clock was wrong."""


@clock.command(cls=Command)
@click.option("--dry-run", is_flag=True, help="Only say what would fire.")
@yes_option
@json_option
@pass_session
def reset(session: Session, dry_run: bool, yes: bool, as_json: bool) -> None:
    """
    Let schedules fire again that a clock has decided too far.

    Those that are decided beyond now, by one that was ahead. Occurrences to come that it skipped
    are forgotten; what it sent is not sent again. It says what will fire and asks. Nothing of
    the past is fired: that is for backfill.
    """
    schedules = session.ask(preview_reset)
    if not as_json:
        _tell(schedules)
    if not dry_run:
        schedules = ask_if_needed(partial(session.act, reset_clock), yes=yes)
    if as_json:
        print_json({"is_dry_run": dry_run, "schedules": schedules})
    elif dry_run and schedules:
        click.echo("dry run: nothing was written")


def _tell(schedules: list[ResetSchedule]) -> None:
    if not schedules:
        click.echo("no schedule is decided beyond now")
    for schedule in schedules:
        following = display_time(schedule.next_fire_at) if schedule.next_fire_at else "never"
        say(
            f"{schedule.schedule}: decided up to {display_time(schedule.decided_until)},"
            f" {schedule.skipped_count} occurrences to come skipped; fires next {following}"
        )
