"""`queues`: what waits in named queues, and why."""

from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import confirm, json_option, yes_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session, person

if TYPE_CHECKING:
    from datetime import datetime

    from scheduler.actions.queues import QueueView

_COLUMNS = ("name", "collector_id", "waiting", "unsettled", "head", "due", "head_waits_for")


@click.group(cls=Group)
def queues() -> None:
    """Named queues: runs in one are sent in order."""


@queues.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the queues and what the head of each waits for."""
    from scheduler.actions.queues import list_queues

    with session.reading() as conn:
        now = session.now(conn)
        views = [_view(one, now) for one in list_queues(conn, now=now)]
    if as_json:
        print_json(views)
        return
    rows = [{**view, "head": view["head_id"], "due": view["head_due_at"]} for view in views]
    print_table(rows, _COLUMNS, empty="no queues")


@queues.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why, for whoever looks next.")
@pass_session
def pause(session: Session, name: str, reason: str) -> None:
    """Send nothing of a queue until it is resumed."""
    from scheduler.actions.queues import pause_queue

    with session.writing() as conn:
        pause_queue(conn, name, by=person(), reason=reason, now=session.now(conn))
    click.echo(f"queue {name} is paused")


@queues.command()
@click.argument("name")
@pass_session
def resume(session: Session, name: str) -> None:
    """Let a paused queue send again."""
    from scheduler.actions.queues import resume_queue

    with session.writing() as conn:
        waiting = resume_queue(conn, name, by=person(), now=session.now(conn))
    click.echo(f"queue {name} sends again: {waiting} waiting")


@queues.command()
@click.argument("name")
@yes_option
@pass_session
def flush(session: Session, name: str, yes: bool) -> None:
    """Skip every run that waits in a queue; what was sent goes on."""
    from scheduler.actions.queues import flush_queue, list_queues

    with session.database() as db:
        with db.reading() as conn:
            views = list_queues(conn, now=session.now(conn))
        waiting = sum(view.waiting for view in views if view.rules.name == name)
        confirm(f"Skip what waits in queue {name}, now {waiting}?", yes=yes or waiting == 0)
        with db.writing() as conn:
            flushed = flush_queue(conn, name, by=person(), now=session.now(conn))
    click.echo(f"queue {name}: {flushed} skipped")


def _view(one: "QueueView", now: "datetime") -> dict[str, object]:
    head = one.head
    return {
        "name": one.rules.name,
        "account": one.account,
        "collector_id": one.collector_id,
        "order": one.rules.queue_order,
        "max_depth": one.rules.max_depth,
        "waiting": one.waiting,
        "unsettled": one.unsettled,
        "head_id": head and head.id,
        "head_state": head and head.state,
        "head_due_at": head and head.due_at,
        "head_age_seconds": head and (now - head.due_at).total_seconds(),
        "head_waits_for": one.head_waits_for,
        "paused_at": one.rules.paused_at,
        "paused_by": one.rules.paused_by,
        "paused_reason": one.rules.paused_reason,
    }
