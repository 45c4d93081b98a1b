"""`runs adopt`, `resend`, `abandon`, `cancel`: what a person decides about runs."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from scheduler.actions.runs import act_on_runs, adopt_run
from scheduler.cli.lazy import Command
from scheduler.cli.options import confirm, json_option, run_filters, yes_option
from scheduler.cli.render import answer, print_json, print_table, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.records import RunState
from scheduler.domain.run_acts import DONE, Act, RunAct
from scheduler.views.acting import list_chosen
from scheduler.views.runs import RunFilter, RunView

_COLUMNS = ("id", "due_at", "schedule", "collector", "queue", "state", "reason", "detail")

_why_option = click.option("--why", metavar="TEXT", help="Why, for the run's history.")


@click.command(cls=Command)
@click.argument("run_id", metavar="ID", type=int)
@click.argument("collection_id")
@_why_option
@json_option
@pass_session
def adopt(
    session: Session, run_id: int, collection_id: str, why: str | None, as_json: bool
) -> None:
    """Say which collection a lost run became."""
    run = session.act(adopt_run, run_id, collection_id, why=why)
    answer(run, f"run {run_id} is collection {collection_id}", as_json=as_json)


def by_id_or_filter(kind: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command `ids` of that *kind*, and the options by which runs are chosen instead."""

    def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            pass_session,
            json_option,
            yes_option,
            _why_option,
            click.option("--dry-run", is_flag=True, help="Only show which those are."),
            click.option(
                "--all-matching",
                is_flag=True,
                help="All that the filter chooses; without one, all.",
            ),
            run_filters,
            click.argument("ids", metavar="[ID]...", type=kind, nargs=-1),
        ):
            command = option(command)
        return command

    return with_options


def says_which(
    what: str, ids: Sequence[Any], wanted: RunFilter, *, all_matching: bool, dry_run: bool
) -> bool:
    """Tell whether a filter chooses; UsageError where it is not said which are meant."""
    has_filter = all_matching or wanted != RunFilter()
    if bool(ids) == has_filter:
        raise click.UsageError(
            f"name {what} by their IDs, or choose them by a filter with --all-matching:"
            " one of the two"
        )
    if not ids and not all_matching and not dry_run:
        raise click.UsageError("a filter may choose many: say --all-matching, or look by --dry-run")
    return has_filter


@click.command(cls=Command)
@by_id_or_filter(int)
def resend(session: Session, **said: Any) -> None:
    """
    Send lost runs again: they were not accepted.

    Which ones is said by IDs, or by a filter with --all-matching, which shows them and asks.
    """
    _act(session, RunAct.RESEND, **said)


@click.command(cls=Command)
@by_id_or_filter(int)
def abandon(session: Session, **said: Any) -> None:
    """
    Give lost runs up, whether they were accepted or not.

    Which ones is said by IDs, or by a filter with --all-matching, which shows them and asks.
    """
    _act(session, RunAct.ABANDON, **said)


@click.command(cls=Command)
@by_id_or_filter(int)
def cancel(session: Session, **said: Any) -> None:
    """
    End runs that wait, or cancel their collections.

    The daemon asks the upstream to cancel, by the collection's id. Which ones is said by IDs, or
    by a filter with --all-matching, which shows them and asks.
    """
    _act(session, RunAct.CANCEL, **said)


def _act(
    session: Session,
    act: RunAct,
    /,
    *,
    ids: Sequence[int],
    wanted: RunFilter,
    all_matching: bool,
    dry_run: bool,
    yes: bool,
    why: str | None,
    as_json: bool,
) -> None:
    has_filter = says_which("runs", ids, wanted, all_matching=all_matching, dry_run=dry_run)
    if not ids:
        chosen = choose_runs(session, act, wanted, dry_run=dry_run, yes=yes, as_json=as_json)
        ids = [run.id for run in chosen]
    done: Sequence[RunView] = session.act(act_on_runs, act, ids, why=why, dry_run=dry_run)
    if as_json:
        is_one = len(done) == 1 and not has_filter
        print_json(done[0] if is_one else {"is_dry_run": dry_run, "runs": done})
        return
    for run in () if dry_run and has_filter else done:
        click.echo(_became(act, run, is_dry_run=dry_run))


def choose_runs(
    session: Session, act: Act, wanted: RunFilter, *, dry_run: bool, yes: bool, as_json: bool
) -> Sequence[RunView]:
    """Show what the filter chooses, how many they are, and ask."""
    with session.reading() as conn:
        chosen = list_chosen(conn, act, wanted)
    for why, count in chosen.left_out.items():
        click.echo(f"left out: {count} {why}", err=True)
    print_table(
        chosen.runs,
        _COLUMNS,
        empty=f"no run to {act}",
        spare=("queue", "collector"),
        # What is told before an act: a reader who goes away must not prevent it.
        to_stderr=as_json or not dry_run,
    )
    so_many = f"{len(chosen.runs)} runs would be {DONE[act]}"
    if chosen.runs and dry_run:
        say(f"{so_many} (dry run: nothing was written)", err=as_json)
    elif chosen.runs:
        confirm(f"{so_many}. Go on?", yes=yes)
    return chosen.runs


def _became(act: RunAct, run: RunView, *, is_dry_run: bool) -> str:
    if is_dry_run:
        return f"run {run.id} would be {DONE[act]}"
    if act is RunAct.CANCEL and run.state is not RunState.CANCELLED:
        return f"run {run.id}: the daemon asks the upstream to cancel its collection"
    return f"run {run.id} is {DONE[act]}"
