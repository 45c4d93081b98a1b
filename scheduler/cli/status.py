"""`status`: how everything is doing."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from scheduler.cli.accounts import account_view
from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import one_line, print_json
from scheduler.cli.session import Session, pass_session
from scheduler.domain.moments import moment_text
from scheduler.domain.records import RunState
from scheduler.domain.verdict import LATE_AFTER

if TYPE_CHECKING:
    from scheduler.actions.status import AccountStatus, Status
    from scheduler.storage.failing import Failing


@click.command(cls=Command)
@json_option
@pass_session
def status(session: Session, as_json: bool) -> None:
    """Say what runs, waits, fires next, and needs a person."""
    from scheduler.actions.status import read_status

    with session.reading() as conn:
        now = session.now(conn)
        found = read_status(conn, now=now)
    if as_json:
        print_json(_view(found, now))
        return
    for line in _lines(found, now):
        click.echo(one_line(line))


def _view(found: "Status", now: datetime) -> dict[str, object]:
    return {
        "at": now,
        "daemons": found.daemons,
        "accounts": [account_view(one) for one in found.accounts],
        "open_runs": found.open_runs,
        "enabled_schedules": found.enabled_schedules,
        "next_fire_at": found.next_fire_at,
        "set_aside": found.set_aside,
        "failing": [_failing_view(one) for one in found.failing],
        "is_all_that_fails": found.is_all_that_fails,
        "paused": found.paused,
        "freezes": found.freezes,
    }


def _failing_view(one: "Failing") -> dict[str, object]:
    return {
        "schedule": one.schedule,
        "in_a_row": one.in_a_row,
        "run": one.newest.id,
        "reason": one.newest.reason,
        "detail": one.newest.detail,
    }


def _lines(found: "Status", now: datetime) -> Iterator[str]:
    from scheduler.storage.failing import LOOKED_AT, MOST_FOUND

    for daemon in found.daemons:
        seen = int((now - daemon.seen_at).total_seconds())
        trouble = f", in trouble: {daemon.trouble}" if daemon.trouble else ""
        yield (
            f"daemon: pid {daemon.pid} on {daemon.host} since {moment_text(daemon.started_at)},"
            f" seen {max(seen, 0)}s ago{trouble}"
        )
    if not found.daemons:
        yield "daemon: none was seen in the last two minutes"
    due = moment_text(found.next_fire_at) if found.next_fire_at else "nothing"
    yield f"schedules: {found.enabled_schedules} enabled, next due: {due}"
    held = ", ".join(f"{count} {state}" for state, count in found.open_runs.items())
    yield f"open runs: {held or 'none'}"
    for one in found.accounts:
        yield f"account {one.account.name}: {_sending(one, now)}"
    for aside in found.set_aside:
        yield f"schedule {aside.name} is set aside: {aside.error}"
    yield from failing(found)
    if not found.is_all_that_fails:
        yield (
            f"more may fail: {LOOKED_AT} schedules and those of the newest {LOOKED_AT} runs were"
            f" looked at, {MOST_FOUND} are shown at most (dca-scheduler runs list --state failed)"
        )
    yield from held_back(found)
    if found.open_runs.get(RunState.NEEDS_ATTENTION):
        yield "a person must decide: dca-scheduler runs list --state needs_attention"


def failing(found: "Status") -> Iterator[str]:
    """Yield a line for each schedule whose latest runs failed."""
    for one in found.failing:
        run = one.newest
        why = f"{run.reason}: {run.detail}" if run.detail else run.reason
        yield f"schedule {one.schedule} failed {one.in_a_row} times in a row, last {why}"


def held_back(found: "Status") -> Iterator[str]:
    """Yield a line for each pause and freeze in force."""
    for freeze in found.freezes:
        until = f" until {moment_text(freeze.until)}" if freeze.until else ""
        yield f"{freeze.scope} is frozen by {freeze.frozen_by}{until}: {freeze.reason}"
    for paused in found.paused:
        until = f" until {moment_text(paused.paused_until)}" if paused.paused_until else ""
        who = f"{paused.paused_by}{until}"
        yield f"schedule {paused.name} is paused by {who}: {paused.paused_reason}"


def braked(found: "Status", now: datetime) -> Iterator[str]:
    """Yield a line for each account that sends nothing for a while."""
    for one in found.accounts:
        if one.brake is not None and one.brake.open_until and one.brake.open_until > now:
            yield f"account {one.account.name} {_until_it_opens(one, one.brake.open_until)}"


def _until_it_opens(one: "AccountStatus", until: datetime) -> str:
    why = f" ({one.trouble})" if one.trouble else ""
    return f"sends nothing until {moment_text(until)}{why}"


def _sending(one: "AccountStatus", now: datetime) -> str:
    brake = one.brake
    flight = f"{one.in_flight} of {one.most_in_flight} in flight"
    throttled = f", {one.throttled} times 429 in five minutes" if one.throttled else ""
    if brake is not None and brake.paused_at is not None:
        return f"paused: {brake.paused_reason} (dca-scheduler accounts resume {one.account.name})"
    if brake is not None and brake.open_until is not None and brake.open_until > now:
        return f"{_until_it_opens(one, brake.open_until)}, {flight}{throttled}"
    return f"sends, {flight}{throttled}{_behind(one, now)}"


def _behind(one: "AccountStatus", now: datetime) -> str:
    late = now - (one.look_due_at or now)
    if late <= LATE_AFTER:
        return ""
    behind = f"{late.total_seconds():.0f}s late"
    return f"; looks at what runs {behind}: it starts more than it can follow"
