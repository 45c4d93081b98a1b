"""
What is paused because it fails: schedules, where their `pause_after_failures` says so, and
accounts whose token is refused.
"""

from collections.abc import Collection
from datetime import datetime

import structlog

from scheduler.storage import audit, runs, schedules
from scheduler.storage.database import Connection

log = structlog.get_logger()

_BY = "dca-scheduler"


def pause_failing(conn: Connection, failed: Collection[str | None], *, now: datetime) -> None:
    """Pause those of the schedules that just *failed* which have failed too often in a row."""
    for name, limit in schedules.list_failure_limits(
        conn, [schedule for schedule in failed if schedule]
    ):
        if runs.count_last_failures(conn, name, limit=limit) >= limit:
            reason = f"{limit} runs failed in a row"
            schedules.set_paused(conn, [name], by=_BY, reason=reason, now=now, until=None)
            _record_pause(conn, f"schedules.{name}", reason, now)
            log.error("schedule_paused", schedule=name, reason=reason)


def tell_account_paused(conn: Connection, account: str, *, reason: str, now: datetime) -> None:
    """Tell that the account's brake, which the caller stores, has become paused."""
    _record_pause(conn, f"accounts.{account}", reason, now)
    log.error("account_paused", account=account, reason=reason)


def _record_pause(conn: Connection, subject: str, reason: str, now: datetime) -> None:
    audit.record_change(
        conn,
        by=audit.DAEMON,
        action="pause",
        subject=subject,
        columns={"paused_reason": (None, reason)},
        now=now,
    )
