"""`calendar lint`: what is odd about a year."""

from typing import Final

import click

from scheduler.cli.exit_codes import Ended
from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.plan import DiffCommand
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session

ODD: Final = 2
"""The exit code where something is odd; wrong usage of the command is EX_USAGE, 64."""


@click.group(cls=Group)
def calendar() -> None:
    """The calendar of all schedules."""


@calendar.command(cls=DiffCommand)
@click.option("--year", type=click.IntRange(1970, 2200), help="Which year.  [default: this one]")
@json_option
@pass_session
def lint(session: Session, year: int | None, as_json: bool) -> None:
    """
    Show what is odd about a year, and only that.

    Occurrences that a clock change shifts, doubles or skips, months and years without one,
    29 February, what calendars exclude, and what is seldom meant. Exit code 0: nothing is odd; 2:
    something is; 64: usage; others: errors.
    """
    from scheduler.actions.calendar_lint import lint_calendar

    with session.reading() as conn:
        year = year or session.now(conn).year
        found = lint_calendar(conn, year)
    if as_json:
        print_json({"year": year, "findings": found})
    else:
        rows = [
            {"schedule": one.schedule or "(all)", "kind": one.kind, "what": one.sentence}
            for one in found
        ]
        print_table(rows, ("schedule", "kind", "what"), empty=f"nothing is odd in {year}")
    if found:
        raise Ended(ODD)
