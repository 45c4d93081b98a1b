"""`run`: the daemon."""

import asyncio

import click

from scheduler.cli.lazy import Command
from scheduler.cli.session import Session, pass_session


@click.command(cls=Command)
@pass_session
def run(session: Session) -> None:
    """
    Run the daemon until SIGTERM or Ctrl-C.

    It brings the database up to date, applies the configuration, and fires what is due.
    SIGHUP applies the file again.
    """
    from scheduler.daemon import serve

    asyncio.run(serve(session.find_config(), session.environ))
