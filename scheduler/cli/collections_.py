"""`collections`: the upstream's jobs, and what it is asked to do with them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from scheduler.actions.collection_requests import request_act
from scheduler.cli.lazy import Command, Group
from scheduler.cli.options import ask_if_needed, json_option
from scheduler.cli.render import print_fields, print_json, print_table, say, tell_more
from scheduler.cli.run_resolve import by_id_or_filter, choose_runs, says_which
from scheduler.cli.session import Session, pass_session
from scheduler.domain.collection_acts import CollectionAct
from scheduler.domain.run_acts import DONE
from scheduler.views.collections import CollectionFilter, get_collection, list_collections
from scheduler.views.runs import RunFilter

_COLUMNS = (
    *("id", "run_id", "collector_id", "status", "accepted_at", "finished_at"),
    *("inputs", "lines", "fails", "page_loads"),
)
_REQUESTS = ("asked_at", "asked_by", "verb", "why", "outcome", "detail", "made_run")


@click.group(cls=Group)
def collections() -> None:
    """Collections: the upstream's jobs that runs became."""


@collections.command("list")
@click.option("--account", metavar="NAME", help="Only those of this account.")
@click.option("--collector-id", metavar="ID", help="Only those of the upstream's c_…")
@click.option("--open", "is_open", is_flag=True, help="Only those that have not ended.")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True)
@click.option("--after", metavar="KEY", help="Go on where the list before was cut.")
@json_option
@pass_session
def list_(
    session: Session,
    account: str | None,
    collector_id: str | None,
    is_open: bool,
    limit: int,
    after: str | None,
    as_json: bool,
) -> None:
    """List collections as last seen, that of the newest run first."""
    wanted = CollectionFilter(account=account, collector_id=collector_id, is_open=is_open)
    with session.reading() as conn:
        page = list_collections(conn, wanted, limit=limit, after=after)
    if as_json:
        print_json(page)
        return
    print_table(page.items, _COLUMNS, empty="no collections", spare=("fails", "page_loads"))
    tell_more(len(page.items), None if page.next is None else f"'{page.next}'", option="--after")


@collections.command()
@click.argument("collection_id", metavar="ID")
@json_option
@pass_session
def show(session: Session, collection_id: str, as_json: bool) -> None:
    """Show a collection, and what came of what was asked about it."""
    with session.reading() as conn:
        found = get_collection(conn, collection_id)
    if as_json:
        print_json(found)
        return
    print_fields(found, without=("requests",))
    if found.requests:
        click.echo()
        print_table(found.requests, _REQUESTS, empty="")


@collections.command(cls=Command)
@by_id_or_filter(str)
def pause(session: Session, **said: Any) -> None:
    """
    Have the upstream stop collections where they are.

    Their queue waits with them. Which ones is said by IDs, or by a filter of their runs with
    --all-matching, which shows them and asks. `collections show` tells what came of it.
    """
    _act(session, CollectionAct.PAUSE, **said)


@collections.command(cls=Command)
@by_id_or_filter(str)
def resume(session: Session, **said: Any) -> None:
    """
    Have the upstream go on with paused collections.

    Which ones is said by IDs, or by a filter of their runs with --all-matching, which shows them
    and asks. `collections show` tells what came of it.
    """
    _act(session, CollectionAct.RESUME, **said)


@collections.command(cls=Command)
@click.option("--failed-only", is_flag=True, help="Only the inputs that failed.")
@by_id_or_filter(str)
def rerun(session: Session, **said: Any) -> None:
    """
    Have the upstream run ended collections again, each billed.

    Each becomes a run of its own, a retry of the first. It asks first. Which ones is said by IDs,
    or by a filter of their runs with --all-matching: without --state those that are partial or
    failed. The upstream forgets a collection after 16 days: then `runs retry` sends its inputs.
    """
    _act(session, CollectionAct.RERUN, **said)


def _act(
    session: Session,
    act: CollectionAct,
    /,
    *,
    ids: Sequence[str],
    wanted: RunFilter,
    all_matching: bool,
    dry_run: bool,
    yes: bool,
    why: str | None,
    as_json: bool,
    failed_only: bool = False,
) -> None:
    has_filter = says_which("collections", ids, wanted, all_matching=all_matching, dry_run=dry_run)
    if not ids:
        chosen = choose_runs(session, act, wanted, dry_run=dry_run, yes=yes, as_json=as_json)
        ids = [str(run.collection_id) for run in chosen]
        yes = True
    request = partial(
        session.act, request_act, act, ids, why=why, failed_only=failed_only, dry_run=dry_run
    )
    asked = ask_if_needed(request, yes=yes or dry_run)
    if as_json:
        print_json({"is_dry_run": dry_run, "requests": asked})
        return
    for one in () if dry_run and has_filter else asked:
        became = f"would be {DONE[act]}" if dry_run else f"the upstream is asked to {act} it"
        say(f"collection {one.collection_id}: {became}")
