"""`runs counts`: what each day came to."""

import click

from scheduler.cli.completion import Named
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import print_listing
from scheduler.cli.session import Session, pass_session
from scheduler.views.run_counts import list_counts

_COLUMNS = (
    *("day", "schedule", "collector", "state"),
    *("run_count", "input_count", "line_count", "fail_count", "page_count"),
)


@click.command(cls=Command)
@click.option("--schedule", metavar="NAME", type=Named("schedules"), help="Only this schedule.")
@click.option("--days", metavar="N", type=click.IntRange(1, 36_500), default=30, show_default=True)
@json_option
@pass_session
def counts(session: Session, schedule: str | None, days: int, as_json: bool) -> None:
    """
    Count the ended runs of each day, by schedule and state.

    By the day in UTC on which they were due. Those that [retention] has forgotten still count.
    """
    found = session.ask(list_counts, days=days, schedule=schedule)
    print_listing(found, _COLUMNS, empty="no runs", as_json=as_json)
