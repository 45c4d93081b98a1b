"""`status`: how everything is doing."""

from collections.abc import Iterator
from datetime import datetime

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option, lost_since_option
from scheduler.cli.render import print_json, say
from scheduler.cli.session import Session, pass_session
from scheduler.domain.timestamps import display_time
from scheduler.domain.verdict import LATE_AFTER
from scheduler.views.accounts import AccountView
from scheduler.views.attention import (
    account_paused,
    attention_sentences,
    list_others,
    no_daemon_sentence,
    unseen_failures,
    why_closed,
    why_silent,
)
from scheduler.views.status import DaemonView, StatusView, read_status


@click.command(cls=Command)
@lost_since_option
@json_option
@pass_session
def status(session: Session, since: datetime | None, as_json: bool) -> None:
    """Say what runs, waits, fires next, and needs a person."""
    status = session.ask(read_status, since=since)
    if as_json:
        print_json(status)
        return
    for line in _lines(status):
        say(line)


def _lines(status: StatusView) -> Iterator[str]:
    for daemon in status.daemons:
        yield _daemon(daemon, status.read_at)
        if sentence := why_silent(daemon, status.read_at):
            yield sentence
    if sentence := no_daemon_sentence(status):
        yield sentence
    due = display_time(status.next_fire_at) if status.next_fire_at else "nothing"
    yield f"schedules: {status.enabled_schedule_count} enabled, next due: {due}"
    counts = ", ".join(f"{count} {state}" for state, count in status.open_runs.items())
    yield f"open runs: {counts or 'none'}"
    yield from (_account(account, status) for account in status.accounts)
    yield from (need.sentence for need in list_others(status))
    yield from attention_sentences(status)
    yield from unseen_failures(status)


def _daemon(daemon: DaemonView, now: datetime) -> str:
    seen = max(int((now - daemon.seen_at).total_seconds()), 0)
    last_error = f", in trouble: {daemon.last_error}" if daemon.last_error else ""
    started = display_time(daemon.started_at)
    return (
        f"daemon: pid {daemon.pid} on {daemon.host} since {started}, seen {seen}s ago{last_error}"
    )


def _account(account: AccountView, status: StatusView) -> str:
    flight = f"{account.in_flight} of {account.most_in_flight} in flight"
    if account.throttled_count:
        flight += f", {account.throttled_count} times 429 in five minutes"
    if account.error is not None:
        sending = f"invalid: {account.error}"
    elif account.paused_at is not None:
        way_out = f"dca-scheduler accounts resume {account.name}"
        sending = f"{account_paused(account)} ({way_out})"
    elif closed := why_closed(account, status.read_at):
        sending = f"{closed}, {flight}"
    else:
        doing = "sends" if status.daemons else "no daemon sends"
        sending = f"{doing}, {flight}{_behind(account, status)}"
    return f"account {account.name}: {sending}"


def _behind(account: AccountView, status: StatusView) -> str:
    late = status.read_at - (account.poll_due_at or status.read_at)
    if late <= LATE_AFTER or not status.daemons:
        return ""
    behind = f"{late.total_seconds():.0f}s late"
    return f"; polls what runs {behind}: it starts more than it can follow"
