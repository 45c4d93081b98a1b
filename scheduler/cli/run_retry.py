"""`runs retry`: ended runs are sent once more, by id or by filter."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import confirm, run_filters, yes_option
from scheduler.cli.render import print_table
from scheduler.cli.session import Session, pass_session, person
from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import ENDED_STATES, Run, RunState

if TYPE_CHECKING:
    from scheduler.storage.database import Connection
    from scheduler.storage.runs import RunFilter

_MOST = 10_000
_HAS_A_RESULT = (RunState.SUCCEEDED, RunState.PARTIAL)
_COLUMNS = ("id", "due_at", "schedule", "collector", "queue", "state", "reason", "detail")


@dataclass(frozen=True, slots=True)
class Found:
    """The runs that a filter chose: those to retry, and how many cannot or need not be."""

    runs: list[Run]
    open: int
    retried: int
    without_inputs: int


@click.command(cls=Command)
@click.argument("run_ids", metavar="[ID]...", type=int, nargs=-1)
@run_filters
@click.option("--dry-run", is_flag=True, help="Only show which runs would be retried.")
@yes_option
@pass_session
def retry(
    session: Session,
    run_ids: Sequence[int],
    schedule: str | None,
    collector: str | None,
    queue: str | None,
    states: Sequence[RunState],
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """
    Send ended runs once more, each as a run of its own.

    Which ones is said by IDs or by a filter. A filter without --state means failed runs, and
    leaves out what was retried before. It asks first where a filter chose them, and where a run
    that was named has its result already. All of them are retried, or none.
    """
    from scheduler.storage.runs import RunFilter

    wanted = RunFilter(
        schedule=schedule,
        collector=collector,
        queue=queue,
        states=states,
        since=since,
        until=until,
    )
    if bool(run_ids) == (wanted != RunFilter()):
        raise click.UsageError("name runs by their IDs, or choose them by a filter: one of the two")
    if run_ids:
        _by_id(session, run_ids, dry_run=dry_run, yes=yes)
    else:
        _by_filter(session, wanted, dry_run=dry_run, yes=yes)


def _by_id(session: Session, run_ids: Sequence[int], *, dry_run: bool, yes: bool) -> None:
    with session.database() as db:
        if not dry_run:
            with db.reading() as conn:
                _ask_about_paid(conn, run_ids, yes=yes)
        with db.writing() as conn:
            made = _retry(conn, session.now(conn), run_ids)
            if dry_run:
                conn.rollback()
    _tell(made, dry_run=dry_run)


def _ask_about_paid(conn: "Connection", run_ids: Sequence[int], *, yes: bool) -> None:
    from scheduler.storage import runs

    found = (runs.get_run(conn, run_id) for run_id in run_ids)
    paid = [str(run.id) for run in found if run.state in _HAS_A_RESULT]
    if paid:
        confirm(f"Send run {', '.join(paid)} again, and pay again? It has its result.", yes=yes)


def _by_filter(session: Session, wanted: "RunFilter", *, dry_run: bool, yes: bool) -> None:
    with session.database() as db:
        with db.reading() as conn:
            found = _find(conn, wanted)
        for sentence in _left_out(found):
            click.echo(sentence, err=True)
        rows = [asdict(run) for run in found.runs]
        print_table(rows, _COLUMNS, empty="no run to retry", spare=("queue", "collector"))
        if dry_run or not found.runs:
            return
        confirm(f"Send {len(found.runs)} runs again?", yes=yes)
        with db.writing() as conn:
            # Somebody else may have retried some while we asked.
            chosen = {run.id for run in _find(conn, wanted).runs}
            ids = [run.id for run in found.runs if run.id in chosen]
            made = _retry(conn, session.now(conn), ids)
    _tell(made, dry_run=False)


def _find(conn: "Connection", wanted: "RunFilter") -> Found:
    from scheduler.storage import runs

    chosen = wanted if wanted.states else replace(wanted, states=(RunState.FAILED,))
    listed = runs.list_runs(conn, chosen, limit=_MOST + 1)[::-1]
    if len(listed) > _MOST:
        raise InvalidInput(f"more than {_MOST} runs are chosen: narrow the filter by --since")
    ended = [run for run in listed if run.state in ENDED_STATES]
    retried = runs.list_retried(conn, [run.id for run in ended])
    fresh = [run for run in ended if run.id not in retried]
    sendable = [run for run in fresh if run.body is not None]
    return Found(
        runs=sendable,
        open=len(listed) - len(ended),
        retried=len(ended) - len(fresh),
        without_inputs=len(fresh) - len(sendable),
    )


def _left_out(found: Found) -> Iterator[str]:
    counts = {
        "not ended": found.open,
        "retried before": found.retried,
        "never given inputs": found.without_inputs,
    }
    yield from (f"left out: {count} {why}" for why, count in counts.items() if count)


def _retry(conn: "Connection", now: datetime, run_ids: Sequence[int]) -> dict[int, int]:
    from scheduler.actions.runs import retry_run

    return {
        run_id: retry_run(conn, run_id, by=person(), now=now) for run_id in dict.fromkeys(run_ids)
    }


def _tell(made: dict[int, int], *, dry_run: bool) -> None:
    for run_id, new_id in made.items():
        click.echo(
            f"run {run_id} would be retried"
            if dry_run
            else f"run {run_id} is retried as run {new_id}"
        )
