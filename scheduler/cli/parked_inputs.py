"""`schedules parked` and `unpark`: the inputs that a schedule leaves out."""

from shlex import quote

import click

from scheduler.actions.parked_inputs import unpark_inputs
from scheduler.cli.completion import Named
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import answer, print_json, print_table, tell_more
from scheduler.cli.session import Session, pass_session
from scheduler.views.parked_inputs import list_parked_inputs

_COLUMNS = ("id", "schedule", "error", "kind", "run_id", "parked_at", "input")


@click.command(cls=Command)
@click.argument("name", type=Named("schedules"), required=False)
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@click.option("--after", metavar="ID", type=click.IntRange(0), default=0, help="Go on after it.")
@json_option
@pass_session
def parked(session: Session, name: str | None, limit: int, after: int, as_json: bool) -> None:
    """
    List the inputs that are left out, and why.

    Each failed in as many runs in a row as park_after of its schedule says.
    """
    found = session.ask(list_parked_inputs, name, limit=limit + 1, after=after)
    shown = found[:limit]
    if as_json:
        print_json(shown)
        return
    print_table(shown, _COLUMNS, empty="no input is parked")
    tell_more(len(shown), str(shown[-1].id) if len(found) > limit else None, option="--after")


@click.command(cls=Command)
@click.argument("name", type=Named("schedules"))
@click.argument("ids", metavar="[ID]...", type=click.IntRange(1), nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="All that are parked.")
@json_option
@pass_session
def unpark(session: Session, name: str, ids: tuple[int, ...], is_all: bool, as_json: bool) -> None:
    """Send parked inputs of a schedule again, from its next run on."""
    if bool(ids) == is_all:
        raise click.UsageError(
            f"say which, by ID or --all: dca-scheduler schedules parked {quote(name)} lists them"
        )
    done = session.act(unpark_inputs, name, None if is_all else ids)
    count = len(done.ids)
    inputs = "1 input is" if count == 1 else f"{count} inputs are"
    answer(done, f"{inputs} parked no more", as_json=as_json)
