"""`queues`: what waits in named queues, and why."""

from datetime import datetime
from functools import partial

import click

from scheduler.actions.pauses import pause_queue, resume_queue
from scheduler.actions.queues import flush_queue
from scheduler.cli.completion import Named
from scheduler.cli.lazy import Group
from scheduler.cli.options import (
    ask_if_needed,
    ending_options,
    json_option,
    reason_option,
    yes_option,
)
from scheduler.cli.render import answer, print_json, print_table, until_words
from scheduler.cli.session import Session, pass_session
from scheduler.domain.pauses import stopped_by
from scheduler.views.queues import QueueView, list_queues

_COLUMNS = ("name", "collector_id", "waiting", "unresolved", "head", "due", "head_why_waiting")


@click.group(cls=Group)
def queues() -> None:
    """Named queues: runs in one are sent in order."""


@queues.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the queues and what the head of each waits for."""
    views = session.ask(list_queues)
    if as_json:
        print_json(views)
        return
    rows = [
        {column: getattr(queue, column, None) for column in _COLUMNS}
        | {"waiting": queue.waiting_count, "unresolved": queue.unresolved_count}
        | {"head": queue.head and queue.head.id, "due": queue.head and queue.head.due_at}
        | {"paused": queue.paused_at and _stopped_by(queue)}
        for queue in views
    ]
    shown = ["paused"] if any(row["paused"] for row in rows) else []
    print_table(rows, (*_COLUMNS, *shown), empty="no queues")


@queues.command()
@click.argument("queue", metavar="NAME", type=Named("queues"))
@reason_option
@ending_options
@json_option
@pass_session
def pause(session: Session, queue: str, reason: str, until: datetime | None, as_json: bool) -> None:
    """Send nothing of a queue until --until, or a resume."""
    views = session.act(pause_queue, queue, reason=reason, until=until)
    answer(views, f"queue {queue} is paused{until_words(until)}", as_json=as_json)


@queues.command()
@click.argument("name", type=Named("queues"))
@yes_option
@json_option
@pass_session
def resume(session: Session, name: str, yes: bool, as_json: bool) -> None:
    """Let a paused queue send again; asks first if runs wait."""
    views = ask_if_needed(partial(session.act, resume_queue, name), yes=yes)
    waiting = sum(queue.waiting_count for queue in views)
    answer(views, f"queue {name} sends again: {waiting} waiting", as_json=as_json)


@queues.command()
@click.argument("name", type=Named("queues"))
@yes_option
@json_option
@pass_session
def flush(session: Session, name: str, yes: bool, as_json: bool) -> None:
    """Skip every run that waits in a queue; what was sent goes on."""
    flushed = ask_if_needed(partial(session.act, flush_queue, name), yes=yes)
    answer(
        {"name": name, "skipped_count": flushed},
        f"queue {name}: {flushed} skipped",
        as_json=as_json,
    )


def _stopped_by(queue: QueueView) -> str:
    return stopped_by(queue.paused_by, queue.paused_reason, queue.paused_until).strip()
