"""`serve`: the HTTP surface alone, beside any daemon of the database."""

import asyncio

import click

from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command
from scheduler.cli.session import Session, pass_session
from scheduler.logs import configure_logging


@click.command(cls=Command)
@click.option("--descriptors", hidden=True, help="What a daemon hands over: its socket, its news.")
@pass_session
def serve(session: Session, descriptors: str | None) -> None:
    """
    Answer HTTP requests as [http] says, until SIGTERM or Ctrl-C.

    It fires and sends nothing, and holds no token of the upstream: daemons on the same database
    do that. `run` serves by itself where the file has [http]. SIGHUP reads the file again, but for
    [http] itself. A socket that systemd hands over stands above `listen`.
    """
    loaded = session.load()
    settings = loaded.config.http
    if settings is None:
        raise CommandEnded(
            ExitCode.CONFIGURATION,
            'the configuration has no [http]: add [http] and listen = "127.0.0.1:8460"',
        )
    lines = configure_logging(
        loaded.config.log.level, loaded.config.log.format, in_background=True, of_requests=True
    )
    # Here, not above: no other command waits for the server's imports.
    from scheduler.web.handed_over import handed_over
    from scheduler.web.serving import serve as serve_http

    try:
        given = handed_over(settings, session.environ, descriptors)
        asyncio.run(serve_http(loaded, settings, given, session.environ))
    finally:
        lines.drain(2)
