"""Schedules that keep failing are paused, where their `pause_after_failures` says so."""

from collections.abc import Collection
from datetime import datetime

import structlog

from scheduler.storage import audit, runs, schedules
from scheduler.storage.database import Connection

log = structlog.get_logger()


def pause_failing(conn: Connection, failed: Collection[str | None], *, now: datetime) -> None:
    """Pause those of the schedules that just *failed* which have failed too often in a row."""
    for name, limit in schedules.list_failure_limits(conn, [one for one in failed if one]):
        if runs.count_last_failures(conn, name, limit=limit) >= limit:
            reason = f"{limit} runs failed in a row"
            schedules.set_paused(conn, name, by="dca-scheduler", reason=reason, now=now, until=None)
            audit.record_change(
                conn,
                who=audit.DAEMON,
                action="pause",
                subject=f"schedules.{name}",
                columns={"paused_reason": (None, reason)},
                now=now,
            )
            log.error("schedule_paused", schedule=name, reason=reason)
