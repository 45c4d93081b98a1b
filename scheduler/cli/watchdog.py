"""`watchdog`: does a daemon live, and is all accounted for? For a timer of its own."""

import asyncio
from pathlib import Path

import click

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import one_line, print_json, warn
from scheduler.cli.session import Session, pass_session
from scheduler.domain.errors import SchedulerError


@click.command(cls=Command)
@click.option("--channel", metavar="NAME", help="Also tell this one of [channels].")
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keeps what was told: an alarm is told once, after a day again, and when it is over.",
)
@json_option
@pass_session
def watchdog(session: Session, channel: str | None, state: Path | None, as_json: bool) -> None:
    """
    Raise the alarm if no daemon lives.

    Or if all are held, if occurrences were due and are not accounted for, or the database does not
    answer. Reads only; ends with 1 for an alarm. `systemd-unit` prints a unit and a timer for it.
    """
    from scheduler.daemon.alarm import Alarm, alarm_of, raise_alarm, read_alarm

    try:
        alarm: Alarm = session.ask(read_alarm)
    except SchedulerError as error:
        alarm = alarm_of([f"the database cannot be asked: {error}"], now=session.clock())
    error_told = None
    if channel is not None:
        config = session.load().config
        error_told = asyncio.run(raise_alarm(alarm, channel, config, session.environ, state))
    if as_json:
        print_json(alarm)
    else:
        for sentence in alarm.sentences:
            click.echo(one_line(sentence))
    if error_told is not None:
        warn(f"{channel} was not told: {error_told}")
    if alarm.exit_code or error_told is not None:
        raise CommandEnded(ExitCode.REFUSED)
