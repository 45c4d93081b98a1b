"""`runs retry`: ended runs are sent once more, by id or by filter."""

from collections.abc import Sequence
from functools import partial

import click

from scheduler.actions.runs import retry_runs
from scheduler.cli.lazy import Command
from scheduler.cli.options import ask_if_needed, confirm, json_option, run_filters, yes_option
from scheduler.cli.render import print_json, print_table, say
from scheduler.cli.session import Session, pass_session
from scheduler.views.retrying import list_retryable
from scheduler.views.runs import RunFilter, RunView

_COLUMNS = ("id", "due_at", "schedule", "collector", "queue", "state", "reason", "detail")


@click.command(cls=Command)
@click.argument("run_ids", metavar="[ID]...", type=int, nargs=-1)
@run_filters
@click.option("--dry-run", is_flag=True, help="Only show which runs would be retried.")
@yes_option
@json_option
@pass_session
def retry(
    session: Session,
    run_ids: Sequence[int],
    wanted: RunFilter,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Send ended runs once more, each as a run of its own.

    Which ones is said by IDs or by a filter. A filter without --state means failed runs, and
    leaves out what was retried before. It asks first where a filter chose them, and where a run
    that was named has its result already. All of them are retried, or none.
    """
    if bool(run_ids) == (wanted != RunFilter()):
        raise click.UsageError("name runs by their IDs, or choose them by a filter: one of the two")
    if run_ids:
        made: Sequence[RunView] = ask_if_needed(
            partial(session.act, retry_runs, run_ids, dry_run=dry_run), yes=yes or dry_run
        )
    else:
        made = _by_filter(session, wanted, dry_run=dry_run, yes=yes, as_json=as_json)
    if as_json:
        print_json({"is_dry_run": dry_run, "runs": made})
        return
    for run in made if run_ids or not dry_run else ():
        became = "would be retried" if dry_run else f"is retried as run {run.id}"
        say(f"run {run.retry_of} {became}")


def _by_filter(
    session: Session, wanted: RunFilter, *, dry_run: bool, yes: bool, as_json: bool
) -> Sequence[RunView]:
    with session.reading() as conn:
        choice = list_retryable(conn, wanted)
    for why, count in choice.left_out.items():
        say(f"left out: {count} {why}", err=True)
    for command in choice.anew:
        say(f"once its inputs are mended: {command}", err=True)
    print_table(
        choice.runs,
        _COLUMNS,
        empty="no run to retry",
        spare=("queue", "collector"),
        # What is told before an act: a reader who goes away must not prevent it.
        to_stderr=as_json or not dry_run,
    )
    if not choice.runs:
        return ()
    confirm(f"Send {len(choice.runs)} runs again?", yes=yes or dry_run)
    ids = [run.id for run in choice.runs]
    return session.act(retry_runs, ids, confirmed=True, only_new=True, dry_run=dry_run)
