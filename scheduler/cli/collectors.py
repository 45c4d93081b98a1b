"""`collectors`: what may be triggered."""

from pathlib import Path
from typing import Final

import click

from scheduler.actions.account_questions import ask_collectors
from scheduler.cli.completion import Named
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.output import write_new
from scheduler.cli.render import print_json, print_listing, say, warn
from scheduler.cli.session import Session, pass_session
from scheduler.tools.collectors_sync import SyncView, read_sync
from scheduler.views.accounts import list_accounts
from scheduler.views.collectors import list_collectors

_COLUMNS = ("name", "collector_id", "account", "deadline", "no_downloads", "version")
_PATIENCE: Final = 60.0
_LOOKED_EVERY: Final = 0.5


@click.group(cls=Group)
def collectors() -> None:
    """Collectors: the upstream's scrapers that may be triggered."""


@collectors.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the collectors and the defaults of their triggers."""
    with session.reading() as conn:
        rows = list_collectors(conn)
    print_listing(rows, _COLUMNS, empty="no collectors", as_json=as_json)


@collectors.command()
@click.option("--account", metavar="NAME", type=Named("accounts"), help="Which, if several.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the definitions there, to a new file.  [default: standard output]",
)
@json_option
@pass_session
def sync(session: Session, account: str | None, output: Path | None, as_json: bool) -> None:
    """
    Turn the account's own list of collectors into definitions.

    A daemon asks the upstream. What is in no definition yet is printed as TOML, to be added to the
    file; the vendor's own schedules are disabled in it: both would fire. Nothing is changed here.
    """
    name = account or _only_account(session)
    session.act(ask_collectors, name)
    found = _wait(session, name)
    if output is not None:
        write_new(output, found.text)
    if as_json:
        print_json(found)
        return
    for warning in found.warnings:
        warn(warning)
    if output is None:
        click.echo(found.text, nl=False)
    told = "" if output is None else f" in {output}: look at it, add it to the file, then `plan`"
    say(
        f"{len(found.new)} new collectors{told}; {len(found.known)} are defined already",
        err=output is None,
    )


def _only_account(session: Session) -> str:
    names = [account.name for account in session.ask(list_accounts)]
    if len(names) != 1:
        raise click.UsageError(f"say which by --account: {', '.join(names) or 'there is none'}")
    return names[0]


def _wait(session: Session, account: str) -> SyncView:
    """Return what the upstream tells; CommandEnded where it does not, or no daemon asks it."""
    end = session.monotonic() + _PATIENCE
    while session.monotonic() < end:
        with session.reading() as conn:
            found = read_sync(conn, account)
        if not found.is_open:
            if found.trouble is not None:
                raise CommandEnded(ExitCode.REFUSED, f"account {account}: {found.trouble}")
            return found
        session.pause(_LOOKED_EVERY)
    raise CommandEnded(
        ExitCode.REFUSED,
        f"nobody has asked within {_PATIENCE:g} s: is a daemon running, and may account {account}"
        " ask now? (dca-scheduler status)",
    )
