"""`clock`: the way back from a clock that was wrong."""

from functools import partial

import click

from scheduler.actions.clock_reset import ClockReset, preview_reset
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
    are forgotten; what it sent is not sent again. Runs that were asked for by hand under such a
    clock, and wait for its time, are sent. It says what will fire and asks. Nothing of the past
    is fired: that is for backfill.
    """
    found = session.ask(preview_reset)
    if not as_json:
        _tell(found)
    if not dry_run:
        found = ask_if_needed(partial(session.act, reset_clock), yes=yes)
    if as_json:
        print_json({"is_dry_run": dry_run, "schedules": found.schedules, "runs": found.runs})
    elif dry_run and (found.schedules or found.runs):
        click.echo("dry run: nothing was written")


def _tell(found: ClockReset) -> None:
    if not found.schedules and not found.runs:
        click.echo("no schedule is decided beyond now")
    for run in found.runs:
        waits = display_time(run.not_before)
        say(f"run {run.id}: asked for by hand, waits until {waits}; is sent at once")
    for schedule in found.schedules:
        following = display_time(schedule.next_fire_at) if schedule.next_fire_at else "never"
        say(
            f"{schedule.schedule}: decided up to {display_time(schedule.decided_until)},"
            f" {schedule.skipped_count} occurrences to come skipped; fires next {following}"
        )
