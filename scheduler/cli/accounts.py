"""`accounts`: how the upstream is reached, and whether anything is sent there."""

from datetime import datetime
from functools import partial

import click

from scheduler.actions.pauses import pause_account, resume_account
from scheduler.cli.completion import Named
from scheduler.cli.lazy import Group
from scheduler.cli.options import (
    ask_if_needed,
    ending_options,
    json_option,
    reason_option,
    yes_option,
)
from scheduler.cli.render import answer, print_listing, until_words
from scheduler.cli.session import Session, pass_session
from scheduler.views.accounts import list_accounts

_COLUMNS = (
    *("name", "base_url", "token", "in_flight", "most_in_flight", "throttled_count"),
    *("open_until", "paused_reason", "last_error", "balance", "not_told"),
)


@click.group(cls=Group)
def accounts() -> None:
    """Accounts at the upstream, and the brake of each."""


@accounts.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the accounts and what holds their sending up."""
    views = session.ask(list_accounts)
    shown = (*_COLUMNS, "error") if any(view.error for view in views) else _COLUMNS
    print_listing(views, shown, empty="no accounts", as_json=as_json)


@accounts.command()
@click.argument("account", metavar="NAME", type=Named("accounts"))
@reason_option
@ending_options
@json_option
@pass_session
def pause(
    session: Session, account: str, reason: str, until: datetime | None, as_json: bool
) -> None:
    """Send nothing for an account until --until, or a resume."""
    view = session.act(pause_account, account, reason=reason, until=until)
    answer(view, f"account {account} is paused{until_words(until)}", as_json=as_json)


@accounts.command()
@click.argument("name", type=Named("accounts"))
@yes_option
@json_option
@pass_session
def resume(session: Session, name: str, yes: bool, as_json: bool) -> None:
    """Let a paused account send again; asks first if runs wait."""
    account = ask_if_needed(partial(session.act, resume_account, name), yes=yes)
    answer(account, f"account {name} sends again", as_json=as_json)
