"""`runs`: what was sent, and what became of it."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option, run_filters
from scheduler.cli.render import print_fields, print_json, print_table
from scheduler.cli.run_retry import retry
from scheduler.cli.run_settle import abandon, adopt, cancel, resend
from scheduler.cli.session import Session, pass_session
from scheduler.domain.records import Attempt, Collection, Run, RunState

if TYPE_CHECKING:
    from scheduler.storage.database import Connection

COLUMNS = (
    "id",
    "due_at",
    "schedule",
    "collector",
    "queue",
    "state",
    "reason",
    "collection_id",
    "start_eta",
)
SPARE = ("start_eta", "queue", "collector", "reason")
_INTERNAL = frozenset({"lease_owner", "lease_until", "fence", "lane", "looks"})
_ATTEMPT = ("number", "claimed_at", "outcome", "http_status", "collection_id", "detail")
_COLLECTION = (
    "id",
    "status",
    "inputs",
    "lines",
    "fails",
    "start_eta",
    "started_at",
    "finished_at",
    "cancel_note",
)


@click.group(cls=Group)
def runs() -> None:
    """Runs: what was due or asked for, and what became of it."""


for _command in (retry, adopt, resend, abandon, cancel):
    runs.add_command(_command)


@runs.command("list")
@run_filters
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@click.option("--before", metavar="ID", type=int, help="Go on after the run of this id.")
@json_option
@pass_session
def list_(
    session: Session,
    schedule: str | None,
    collector: str | None,
    queue: str | None,
    states: Sequence[RunState],
    since: datetime | None,
    until: datetime | None,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List runs, the newest first."""
    from scheduler.storage import runs as stored

    wanted = stored.RunFilter(
        schedule=schedule,
        collector=collector,
        queue=queue,
        states=states,
        since=since,
        until=until,
    )
    with session.reading() as conn:
        found = stored.list_runs(conn, wanted, limit=limit, before_id=before)
    if as_json:
        print_json([run_view(run) for run in found])
    else:
        print_table([asdict(run) for run in found], COLUMNS, empty="no runs", spare=SPARE)


@runs.command()
@click.argument("run_id", metavar="ID", type=int)
@json_option
@pass_session
def show(session: Session, run_id: int, as_json: bool) -> None:
    """Show one run, its attempts and its collections."""
    with session.reading() as conn:
        view = whole_run(conn, run_id)
    if as_json:
        print_json(view)
        return
    attempts, collections = view.pop("attempt_list"), view.pop("collections")
    print_fields(view)
    if attempts:
        click.echo("\nattempts")
        print_table(list(map(asdict, attempts)), _ATTEMPT, empty="")
    if collections:
        click.echo("\ncollections")
        print_table(list(map(asdict, collections)), _COLLECTION, empty="")


def run_view(run: Run) -> dict[str, Any]:
    """Return what a person may want to know of a run."""
    return {name: value for name, value in asdict(run).items() if name not in _INTERNAL}


def whole_run(conn: "Connection", run_id: int) -> dict[str, Any]:
    """Return a run with the size of its body, its attempts and its collections."""
    from scheduler.storage import collections_, definitions
    from scheduler.storage import runs as stored

    run = stored.get_run(conn, run_id)
    body = None if run.body is None else definitions.get_body(conn, run.body)
    attempts: list[Attempt] = stored.list_attempts(conn, run_id)
    collections: list[Collection] = collections_.list_collections(conn, run_id)
    return {
        **run_view(run),
        "send_as": body and body.send_as,
        "row_count": body and body.row_count,
        "byte_count": body and body.byte_count,
        "attempt_list": attempts,
        "collections": collections,
    }
