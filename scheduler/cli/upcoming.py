"""`upcoming`: what will run in the hours to come, and why then; what will not."""

from pathlib import Path
from socket import getfqdn

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import print_json, print_table, say
from scheduler.cli.session import Session, pass_session
from scheduler.tools.calendar.agenda import Agenda, AgendaEntry, read_agenda
from scheduler.tools.calendar.agenda_ics import agenda_ics
from scheduler.tools.calendar.next import dst_words


@click.command(cls=Command)
@click.option("--hours", type=click.IntRange(1, 168), default=24, show_default=True)
@click.option("--ics", type=click.Path(path_type=Path), help="Write it to this file as iCalendar.")
@json_option
@pass_session
def upcoming(session: Session, hours: int, ics: Path | None, as_json: bool) -> None:
    """
    List what will run in the hours to come, and why then.

    Of all schedules. One that is due more than 24 times in these hours is one line. What is
    stopped, or never fires by itself, is named with why.
    """
    agenda = session.ask(read_agenda, hours=hours)
    if ics is not None:
        ics.write_text(agenda_ics(agenda, host=getfqdn()), encoding="utf-8", newline="")
    if as_json:
        print_json(agenda)
    elif ics is not None:
        say(f"{len(agenda.entries)} events are in {ics}")
    else:
        _print(agenda)


def _print(agenda: Agenda) -> None:
    rows = [_row(entry) for entry in agenda.entries]
    spare = ("starts_at", "until")
    print_table(rows, tuple(_COLUMNS), empty="nothing fires in these hours", spare=spare)
    idle = [{"schedule": one.schedule, "why": one.why} for one in (*agenda.held, *agenda.never)]
    if idle:
        click.echo()
        print_table(idle, ("schedule", "why"), empty="")
    if not agenda.is_whole:
        say(f"only the first {len(agenda.entries)} are listed")


_COLUMNS = ("due_at", "starts_at", "schedule", "collector", "count", "until", "why")


def _row(entry: AgendaEntry) -> dict[str, object]:
    clock = f"; {dst_words(entry.dst)}" if entry.dst is not None else ""
    starts_at = entry.starts_at if entry.starts_at != entry.due_at else None
    values = {name: getattr(entry, name) for name in _COLUMNS}
    return {**values, "starts_at": starts_at, "why": f"{entry.why}{clock}"}
