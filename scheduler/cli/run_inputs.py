"""`runs inputs`: which inputs of a run failed and why, or what it sends."""

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import RunReference, json_option
from scheduler.cli.render import print_json, print_table, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.records import RunState
from scheduler.views.run_inputs import FailedInputs, list_failed_inputs, list_run_inputs
from scheduler.views.runs import show_run

_COLUMNS = ("position", "error", "kind", "input")


@click.command(cls=Command)
@click.argument("run_id", metavar="ID", type=RunReference())
@click.option("--all", "is_all", is_flag=True, help="Show what it sends, or has sent, instead.")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@json_option
@pass_session
def inputs(session: Session, run_id: int | str, is_all: bool, limit: int, as_json: bool) -> None:
    """
    Show which inputs of a run failed, and why.

    The upstream is asked for them once a run has ended partial or failed. ID is the run's, or that
    of one of its collections.
    """
    run = session.ask(show_run, run_id)
    with session.reading() as conn:
        sent = list_run_inputs(conn, run.id, limit=limit) if is_all else None
        failed = list_failed_inputs(conn, run.id, limit=limit)
    if as_json:
        print_json(sent or failed)
    elif sent is not None:
        print_json(sent.inputs)
    else:
        _print(failed)


def _print(failed: FailedInputs) -> None:
    if failed.state is RunState.SUCCEEDED:
        say(f"run {failed.run_id} succeeded: no input failed")
        return
    if failed.failed_count is None:
        click.echo(f"run {failed.run_id} is {failed.state}: which inputs failed is not known")
        return
    print_table(failed.items, _COLUMNS, empty="no input failed")
    if failed.failed_count > len(failed.items):
        click.echo(f"{len(failed.items)} of {failed.failed_count}: more by --limit")
    for run_id in failed.retries:
        click.echo(f"sent once more by run {run_id}")
