"""`calendar lint`: what is odd about a year."""

from typing import Final

import click

from scheduler.cli.exit_codes import CommandEnded
from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.plan import DiffCommand
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session
from scheduler.tools.calendar.lint import lint_year

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
    found = session.ask(lint_year, year)
    if as_json:
        print_json(found)
    else:
        rows = [
            {
                "schedule": finding.schedule or "(all)",
                "kind": finding.kind,
                "what": finding.sentence,
            }
            for finding in found.findings
        ]
        print_table(rows, ("schedule", "kind", "what"), empty=f"nothing is odd in {found.year}")
    if found.findings:
        raise CommandEnded(ODD)
