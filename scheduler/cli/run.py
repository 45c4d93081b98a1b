"""`run`: the daemon."""

import asyncio

import click

from scheduler.cli.lazy import Command
from scheduler.cli.session import NO_FILE, Session, pass_session


@click.command(cls=Command)
@pass_session
def run(session: Session) -> None:
    """
    Run the daemon until SIGTERM or Ctrl-C.

    It brings the database up to date, applies the configuration, and fires what is due.
    SIGHUP applies the file again.
    """
    from scheduler.daemon import serve

    path = session.find_config()
    if path is None:
        click.echo(f"warning: {NO_FILE}", err=True)
    asyncio.run(serve(path, session.environ))
