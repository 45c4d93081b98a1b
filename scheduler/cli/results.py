"""`results`: what is saved of runs, and what is not."""

import click

from scheduler.actions.results import dismiss_result, retry_result
from scheduler.cli.lazy import Group
from scheduler.cli.options import Member, json_option
from scheduler.cli.render import answer, print_fields, print_json, print_table, tell_more
from scheduler.cli.session import Session, pass_session
from scheduler.domain.results import ResultState
from scheduler.views.results import UNSAVED, get_result, list_results

_COLUMNS = (
    *("run_id", "schedule", "due_at", "state", "reason", "path"),
    *("row_count", "byte_count", "next_attempt_at"),
)
_run_id = click.argument("run_id", metavar="RUN", type=click.IntRange(1))


@click.group(cls=Group)
def results() -> None:
    """Results: files that the rows of runs are saved to."""


@results.command("list")
@click.option("--schedule", metavar="NAME", help="Only of this schedule.")
@click.option("--unsaved", is_flag=True, help="Only what is not saved.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=Member(ResultState),
    metavar="STATE",
    help="Only in this state; may be given several times.",
)
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@click.option("--before", metavar="RUN", type=int, help="Go on after the run of this id.")
@json_option
@pass_session
def list_(
    session: Session,
    schedule: str | None,
    unsaved: bool,
    states: tuple[ResultState, ...],
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List what is saved, or is to be, the newest runs first."""
    if unsaved and states:
        raise click.UsageError("give --unsaved or --state, not both")
    states = UNSAVED if unsaved else states
    with session.reading() as conn:
        page = list_results(conn, limit=limit, schedule=schedule, states=states, before=before)
    if as_json:
        print_json(page)
        return
    print_table(page.items, _COLUMNS, empty="nothing is saved, nor to be", spare=("byte_count",))
    tell_more(len(page.items), page.next)


@results.command()
@_run_id
@json_option
@pass_session
def show(session: Session, run_id: int, as_json: bool) -> None:
    """Show what is saved of a RUN: where, its checksum, or why not."""
    with session.reading() as conn:
        result = get_result(conn, run_id)
    if as_json:
        print_json(result)
    else:
        print_fields(result)


@results.command()
@_run_id
@json_option
@pass_session
def retry(session: Session, run_id: int, as_json: bool) -> None:
    """Have the result of a RUN saved now, by the save_to of now."""
    done = session.act(retry_result, run_id)
    answer(done, f"the result of run {run_id} is {done.state}", as_json=as_json)


@results.command()
@_run_id
@click.option("--reason", help="Why, for whoever looks next.")
@json_option
@pass_session
def dismiss(session: Session, run_id: int, reason: str | None, as_json: bool) -> None:
    """Do without the result of a RUN: it is tried no more."""
    done = session.act(dismiss_result, run_id, reason=reason)
    answer(done, f"the result of run {run_id} is {done.state}", as_json=as_json)
