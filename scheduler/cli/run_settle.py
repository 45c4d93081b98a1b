"""`runs adopt`, `resend`, `abandon`, `cancel`: what a person decides about one run."""

import click

from scheduler.cli.lazy import Command
from scheduler.cli.session import Session, pass_session, person

_run_id = click.argument("run_id", metavar="ID", type=int)


@click.command(cls=Command)
@_run_id
@click.argument("collection_id")
@pass_session
def adopt(session: Session, run_id: int, collection_id: str) -> None:
    """Say which collection a lost run became."""
    from scheduler.actions.runs import adopt_run

    with session.writing() as conn:
        adopt_run(conn, run_id, collection_id, by=person(), now=session.now(conn))
    click.echo(f"run {run_id} is collection {collection_id}")


@click.command(cls=Command)
@_run_id
@pass_session
def resend(session: Session, run_id: int) -> None:
    """Send a lost run again: it was not accepted."""
    from scheduler.actions.runs import resend_run

    with session.writing() as conn:
        resend_run(conn, run_id, by=person(), now=session.now(conn))
    click.echo(f"run {run_id} is sent again")


@click.command(cls=Command)
@_run_id
@pass_session
def abandon(session: Session, run_id: int) -> None:
    """Give a lost run up, whether it was accepted or not."""
    from scheduler.actions.runs import abandon_run

    with session.writing() as conn:
        abandon_run(conn, run_id, by=person(), now=session.now(conn))
    click.echo(f"run {run_id} is given up")


@click.command(cls=Command)
@_run_id
@pass_session
def cancel(session: Session, run_id: int) -> None:
    """
    End a run that waits, or cancel its collection.

    The daemon asks the upstream to cancel, by the collection's id.
    """
    from scheduler.actions.runs import cancel_run

    with session.writing() as conn:
        cancelled = cancel_run(conn, run_id, by=person(), now=session.now(conn))
    click.echo(
        f"run {run_id} is cancelled"
        if cancelled.at_once
        else f"run {run_id}: the daemon asks the upstream to cancel its collection"
    )
