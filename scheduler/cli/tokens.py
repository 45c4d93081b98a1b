"""`token`: who may ask over HTTP."""

import click

from scheduler.actions.api_tokens import create_token, make_link, revoke_token
from scheduler.cli.completion import Named
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Group
from scheduler.cli.options import Member, json_option
from scheduler.cli.render import answer, print_json, print_listing, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.access import Scope
from scheduler.domain.durations import parse_duration
from scheduler.domain.timestamps import display_time
from scheduler.views.api_tokens import list_tokens
from scheduler.views.json_document import json_value

_COLUMNS = ("name", "prefix", "scope", "collectors", "expires_at", "last_used_at", "revoked_at")


@click.group(cls=Group)
def token() -> None:
    """Tokens: who may ask over HTTP, and what."""


@token.command("create")
@click.argument("name")
@click.option(
    "--scope",
    required=True,
    type=Member(Scope),
    help="read sees, trigger spends on its collectors, operate pauses and retries, admin does all.",
)
@click.option(
    "--collector",
    "collectors",
    multiple=True,
    metavar="NAME",
    type=Named("collectors"),
    help="What a trigger token may trigger; several times, or * for every one.",
)
@click.option("--expires", metavar="DURATION", help="When it ends, such as 90d; never if left out.")
@json_option
@pass_session
def create(
    session: Session,
    /,
    *,
    name: str,
    scope: Scope,
    collectors: tuple[str, ...],
    expires: str | None,
    as_json: bool,
) -> None:
    """
    Make a token called NAME and print it: now, and never again.

    What it does is in `changes list` as http:NAME@ADDRESS.
    """
    lasting = None if expires is None else parse_duration(expires)
    made = session.act(
        create_token,
        name,
        scope=scope,
        collectors=collectors,
        expires_at=None if lasting is None else session.present() + lasting,
    )
    if as_json:
        print_json({"token": made.token, **json_value(made.view)})
        return
    click.echo(made.token)
    end = display_time(made.view.expires_at) if made.view.expires_at else "until it is revoked"
    say(f"token {name}: {scope}, {end}; it is not shown again", err=True)


@token.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the tokens, revoked ones included."""
    with session.reading() as conn:
        rows = list_tokens(conn)
    print_listing(rows, _COLUMNS, empty="no tokens", as_json=as_json)


@token.command("revoke")
@click.argument("name")
@json_option
@pass_session
def revoke(session: Session, /, *, name: str, as_json: bool) -> None:
    """
    End a token, and every session begun with it.

    Every server knows it within a second; it cannot be taken back.
    """
    view = session.act(revoke_token, name)
    answer(view, f"token {name} is revoked", as_json=as_json)


@token.command("link")
@click.argument("name")
@pass_session
def link(session: Session, /, *, name: str) -> None:
    """
    Print a link that signs a browser in once.

    Its session may what the token NAME may, and ends with it. The link is good for 15 minutes.
    """
    settings = session.load().config.http
    if settings is None:
        raise CommandEnded(ExitCode.CONFIGURATION, "the configuration has no [http]")
    code = session.act(make_link, name)
    say(f"{settings.url}/sign-in?code={code}")
