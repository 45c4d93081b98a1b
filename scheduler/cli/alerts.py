"""`alerts`, `ack`, `notices`, `notify`: what is wrong, who knows of it, and who was told."""

from datetime import datetime

import click

from scheduler.actions.alerts import acknowledge, try_channel
from scheduler.cli.exit_codes import CommandEnded, ExitCode
from scheduler.cli.lazy import Command, Group
from scheduler.cli.options import ending_options, json_option
from scheduler.cli.render import answer, print_json, print_table, tell_more, until_words
from scheduler.cli.session import Session, pass_session
from scheduler.domain.errors import NotFound
from scheduler.domain.suggestions import did_you_mean
from scheduler.views.alerts import Delivered, find_outcome, list_alerts, list_notices

_ALERTS = ("id", "kind", "subject", "since", "count", "acked_by", "recovered_at", "detail")
_NOTICES = (
    *("id", "created_at", "channel", "kind", "change", "subject"),
    *("state", "attempt_count", "next_attempt_at", "last_error"),
)
_POLL_SECONDS = 0.25

limit_option = click.option(
    "--limit", metavar="N", type=click.IntRange(1), default=50, show_default=True
)
before_option = click.option("--before", metavar="ID", type=int, help="Go on after this id.")


@click.group(cls=Group)
def alerts() -> None:
    """Alerts: what is wrong, since when, and who knows."""


@alerts.command("list")
@click.option("--all", "with_recovered", is_flag=True, help="What is over, too.")
@limit_option
@before_option
@json_option
@pass_session
def list_alerts_(
    session: Session, with_recovered: bool, limit: int, before: int | None, as_json: bool
) -> None:
    """List what is wrong, the newest first."""
    page = session.ask(list_alerts, with_recovered=with_recovered, limit=limit, before=before)
    if as_json:
        print_json(page)
        return
    rows = [{column: getattr(alert, column) for column in _ALERTS} for alert in page.items]
    print_table(rows, _ALERTS, empty="nothing is wrong")
    tell_more(len(rows), page.next)


@click.command(cls=Command)
@click.argument("wanted", metavar="ALERT...", nargs=-1, required=True)
@click.option("--reason", help="What is done about it, for whoever looks next.")
@ending_options
@json_option
@pass_session
def ack(
    session: Session,
    wanted: tuple[str, ...],
    reason: str | None,
    until: datetime | None,
    as_json: bool,
) -> None:
    """
    Say that you know of an ALERT: nobody is reminded.

    That lasts until --until, or its end. An ALERT is its id, a schedule's name or glob
    ('nightly-*'), or a subject such as accounts.main.
    """
    done = session.act(acknowledge, wanted, reason=reason, until=until)
    told = f"acknowledged{until_words(until)}: {', '.join(done.subjects)}"
    answer(done, told, as_json=as_json)


@click.group(cls=Group)
def notices() -> None:
    """Notices: what was told in which channel."""


@notices.command("list")
@click.option("--channel", metavar="NAME", help="Only of this channel.")
@click.option("--open", "only_open", is_flag=True, help="Only what has not arrived yet.")
@limit_option
@before_option
@json_option
@pass_session
def list_notices_(
    session: Session,
    channel: str | None,
    only_open: bool,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """List what was told, or is to be, the newest first."""
    page = session.ask(
        list_notices, channel=channel, only_open=only_open, limit=limit, before=before
    )
    if as_json:
        print_json(page)
        return
    rows = [{column: getattr(notice, column) for column in _NOTICES} for notice in page.items]
    print_table(rows, _NOTICES, empty="nothing was told")
    tell_more(len(rows), page.next)


@click.group(cls=Group)
def notify() -> None:
    """Notify: try who is told."""


@notify.command("test")
@click.argument("channel")
@click.option(
    "--wait",
    "seconds",
    metavar="SECONDS",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="How long to wait for it to arrive.",
)
@json_option
@pass_session
def test(session: Session, channel: str, seconds: float, as_json: bool) -> None:
    """
    Send a test message to a CHANNEL.

    The daemon does; it goes the way of every message, with the daemon's secrets. Ends with 1 if
    it did not arrive.
    """
    known = session.load().config.channels
    if channel not in known:
        raise NotFound(f"no channel is called {channel!r}{did_you_mean(channel, known)}")
    delivery = session.act(try_channel, channel)
    state, error = _outcome(session, delivery, seconds)
    said = {
        Delivered.DELIVERED: f"{channel} has it",
        Delivered.GIVEN_UP: f"{channel} did not take it: {error}",
    }.get(state, f"{channel} does not have it yet: {error or _NOBODY}")
    answer(
        {"channel": channel, "delivery": delivery, "state": state, "last_error": error},
        said,
        as_json=as_json,
    )
    if state is not Delivered.DELIVERED:
        raise CommandEnded(ExitCode.REFUSED)


_NOBODY = "no daemon has tried; does one run, and has it loaded this file since?"


def _outcome(session: Session, delivery: str, seconds: float) -> tuple[Delivered, str | None]:
    """Wait until the message has arrived, or its first attempt has failed."""
    deadline = session.monotonic() + seconds
    while True:
        with session.reading() as conn:
            state, error = find_outcome(conn, delivery)
        if state is not Delivered.PENDING or error or session.monotonic() >= deadline:
            return state, error
        session.pause(_POLL_SECONDS)
