"""`runs`: what was sent, and what became of it."""

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import RunReference, json_option, run_filters
from scheduler.cli.render import print_fields, print_json, print_table, tell_more
from scheduler.cli.run_counts import counts
from scheduler.cli.run_inputs import inputs
from scheduler.cli.run_resolve import abandon, adopt, cancel, resend
from scheduler.cli.run_retry import retry
from scheduler.cli.session import Session, pass_session
from scheduler.views.runs import RunDetail, RunFilter, list_runs, show_run

COLUMNS = (
    *("id", "due_at", "schedule", "collector", "queue"),
    *("state", "reason", "collection_id", "start_eta"),
)
SPARE = ("start_eta", "queue", "collector", "reason")
_ATTEMPT = ("number", "claimed_at", "outcome", "http_status", "collection_id", "detail")
_BELOW = ("held_up", "events", "attempts", "collections", "result")
_HELD_UP = ("since", "until", "why")
_EVENT = ("happened_at", "to_state", "reason", "by", "detail")
_RESULT = ("state", "reason", "path", "row_count", "byte_count", "sha256", "next_attempt_at")
_COLLECTION = (
    *("id", "status", "inputs", "lines", "fails"),
    *("start_eta", "started_at", "finished_at", "cancel_note"),
)


@click.group(cls=Group)
def runs() -> None:
    """Runs: what was due or asked for, and what became of it."""


for _command in (inputs, retry, adopt, resend, abandon, cancel, counts):
    runs.add_command(_command)


@runs.command("list")
@run_filters
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@click.option("--before", metavar="ID", type=int, help="Go on after the run of this id.")
@json_option
@pass_session
def list_(
    session: Session, wanted: RunFilter, limit: int, before: int | None, as_json: bool
) -> None:
    """
    List runs, the newest first.

    Where there are more, it says so, and which --before goes on; in JSON as next.
    """
    with session.reading() as conn:
        page = list_runs(conn, wanted, limit=limit, before=before)
    if as_json:
        print_json(page)
        return
    print_table(page.items, COLUMNS, empty="no runs", spare=SPARE)
    tell_more(len(page.items), page.next)


@runs.command()
@click.argument("run_id", metavar="ID", type=RunReference())
@json_option
@pass_session
def show(session: Session, run_id: int | str, as_json: bool) -> None:
    """
    Show one run, its history, attempts and collections.

    ID is the run's, or that of one of its collections.
    """
    run = session.ask(show_run, run_id)
    if as_json:
        print_json(run)
    else:
        _print(run)


def _print(run: RunDetail) -> None:
    unsaid = [name for name in ("replaces", "confirm_cancel") if not getattr(run, name)]
    if run.occurrences == 1:
        unsaid += ["occurrences", "due_until"]
    print_fields(run, without=(*_BELOW, "query", *unsaid))
    if run.held_up:
        click.echo("\nheld up")
        print_table(run.held_up, _HELD_UP, empty="")
    click.echo("\nevents")
    print_table(run.events, _EVENT, empty="")
    if run.attempts:
        click.echo("\nattempts")
        print_table(run.attempts, _ATTEMPT, empty="")
    if run.collections:
        click.echo("\ncollections")
        print_table(run.collections, _COLLECTION, empty="")
    if run.result is not None:
        click.echo("\nresult")
        print_table((run.result,), _RESULT, empty="")
