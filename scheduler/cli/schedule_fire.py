"""`schedules fire`: a run for this moment, beside the timetable."""

from collections.abc import Sequence

import click

from scheduler.actions.schedules import fire_schedule
from scheduler.cli.completion import Named
from scheduler.cli.follow_run import Waiting, waiting_options
from scheduler.cli.lazy import Command
from scheduler.cli.options import ask_if_needed, json_option, past_pauses_option, yes_option
from scheduler.cli.render import print_json, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.records import RunState
from scheduler.views.runs import RunView, show_run
from scheduler.views.waiting import why_held_up


@click.command(cls=Command)
@click.argument("name", type=Named("schedules"))
@past_pauses_option
@waiting_options
@yes_option
@json_option
@pass_session
def fire(
    session: Session,
    name: str,
    past_pauses: bool,
    waiting: Waiting | None,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Fire a schedule now, beside its timetable.

    It asks first where that makes very many runs, or goes past a pause. With --wait or --wait-for,
    exit code 1 if one of them was not accepted, or did not succeed.
    """
    config = session.load().config
    runs = ask_if_needed(
        lambda confirmed: session.act_outside(
            fire_schedule,
            name,
            config=config,
            files=session.input_files(),
            confirmed=confirmed,
            past_pauses=past_pauses,
        ),
        yes=yes,
    )
    if not as_json:
        ids = ", ".join(str(run.id) for run in runs)
        say(f"schedule {name} fires: run {ids}")
    _tell_what_holds(session, runs)
    if waiting is not None:
        waiting.wait(session, [run.id for run in runs], as_json=as_json, is_list=True)
    elif as_json:
        print_json(runs)


def _tell_what_holds(session: Session, runs: Sequence[RunView]) -> None:
    held = session.ask(why_held_up, runs[0].id)
    if held:
        say(f"it waits: {held}", err=True)
        is_to_be_sent = session.ask(show_run, runs[0].id).state is RunState.QUEUED
        if is_to_be_sent and not runs[0].past_pauses:
            say("(--past-pauses sends it in spite of a pause or a freeze)", err=True)
