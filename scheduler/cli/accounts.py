"""`accounts`: how the upstream is reached, and whether anything is sent there."""

from typing import TYPE_CHECKING

import click

from scheduler.cli.lazy import Group
from scheduler.cli.options import json_option
from scheduler.cli.render import print_json, print_table
from scheduler.cli.session import Session, pass_session, person

if TYPE_CHECKING:
    from scheduler.actions.status import AccountStatus

_COLUMNS = (
    *("name", "base_url", "token", "in_flight", "most_in_flight", "throttled"),
    *("open_until", "paused_reason", "trouble"),
)


@click.group(cls=Group)
def accounts() -> None:
    """Accounts at the upstream, and the brake of each."""


@accounts.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the accounts and what holds their sending up."""
    from scheduler.actions.status import read_status

    with session.reading() as conn:
        found = read_status(conn, now=session.now(conn), with_schedules=False).accounts
    views = [account_view(one) for one in found]
    if as_json:
        print_json(views)
    else:
        print_table(views, _COLUMNS, empty="no accounts")


@accounts.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why, for whoever looks next.")
@pass_session
def pause(session: Session, name: str, reason: str) -> None:
    """Send nothing for an account until it is resumed."""
    from scheduler.actions.accounts import pause_account

    with session.writing() as conn:
        pause_account(conn, name, by=person(), reason=reason, now=session.now(conn))
    click.echo(f"account {name} is paused")


@accounts.command()
@click.argument("name")
@pass_session
def resume(session: Session, name: str) -> None:
    """Let an account send again, whoever or whatever paused it."""
    from scheduler.actions.accounts import resume_account

    with session.writing() as conn:
        resume_account(conn, name, by=person(), now=session.now(conn))
    click.echo(f"account {name} sends again")


def account_view(one: "AccountStatus") -> dict[str, object]:
    """Return an account and its brake as one flat object; its token is only a reference."""
    brake = one.brake
    return {
        "name": one.account.name,
        "base_url": one.account.base_url,
        "token": one.account.token,
        "max_in_flight": one.account.max_in_flight,
        "requests_per_second": one.account.requests_per_second,
        "in_flight": one.in_flight,
        "most_in_flight": one.most_in_flight,
        "throttled": one.throttled,
        "open_until": brake and brake.open_until,
        "strikes": brake.strikes if brake else 0,
        "slow_start": brake and brake.slow_start,
        "paused_at": brake and brake.paused_at,
        "paused_reason": brake and brake.paused_reason,
        "look_due_at": one.look_due_at,
        "trouble": one.trouble if brake and brake.strikes else None,
    }
