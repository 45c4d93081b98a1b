"""`run`: the daemon."""

import asyncio

import click

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.render import say
from scheduler.cli.session import NO_FILE, Session, pass_session
from scheduler.config.overrides import PREFIX
from scheduler.daemon import serve


@click.command(cls=Command)
@click.option("--no-config", is_flag=True, help="Run without a file, by defaults and environment.")
@pass_session
def run(session: Session, no_config: bool) -> None:
    """
    Run the daemon until SIGTERM or Ctrl-C.

    It brings the database up to date, applies the configuration, and fires what is due.
    SIGHUP applies the file again.
    """
    path = session.find_config()
    if path is None:
        if not no_config and not any(name.startswith(PREFIX) for name in session.environ):
            raise CommandEnded(
                ExitCode.CONFIGURATION, f"{NO_FILE}: say --no-config if that is meant"
            )
        say(f"warning: {NO_FILE}", err=True)
    asyncio.run(serve(path, session.environ))
