"""What a person can do about what is wrong: say that they know, and try who is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from scheduler.domain.errors import InvalidInput, NotFound
from scheduler.domain.notices import TEST, Alert, NewNotice, NoticeChange
from scheduler.domain.reasons import check_any_reason
from scheduler.domain.timestamps import display_time
from scheduler.storage import alerts, notices
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The alerts that somebody has said they know of."""

    ids: tuple[int, ...]
    subjects: tuple[str, ...]


def acknowledge(
    conn: Connection,
    wanted: Sequence[str],
    *,
    by: str,
    now: datetime,
    reason: str | None = None,
    until: datetime | None = None,
) -> Acknowledged:
    """
    Have nobody reminded of the open alerts that are *wanted*, until then or until they are over.

    Each is an alert's id, a subject such as `schedules.nightly`, or a glob over the names of
    schedules; NotFound for one that no open alert has, InvalidInput for an end in the past.
    """
    reason = check_any_reason(reason)
    if until is not None and until <= now:
        raise InvalidInput(f"until {display_time(until)} is in the past")
    found = alerts.list_open(conn)
    chosen: dict[int, Alert] = {}
    for word in wanted:
        meant = [alert for alert in found if _is_meant(alert, word)]
        if not meant:
            raise NotFound(
                f"no open alert is {word!r} or of it: dca-scheduler alerts list has them"
            )
        chosen |= {alert.id: alert for alert in meant}
    alerts.acknowledge(conn, list(chosen), by=by, reason=reason, until=until, now=now)
    for alert in chosen.values():
        columns = {"alert": (None, f"{alert.kind} {alert.id}"), "until": (None, until)}
        record_change(conn, by, "ack", alert.subject, columns, now=now)
    return Acknowledged(
        ids=tuple(chosen), subjects=tuple(sorted({one.subject for one in chosen.values()}))
    )


def _is_meant(alert: Alert, word: str) -> bool:
    if word == str(alert.id) or word == alert.subject:
        return True
    return alert.schedule is not None and fnmatchcase(alert.schedule, word)


def try_channel(conn: Connection, channel: str, *, by: str, now: datetime) -> str:
    """Write a test message for *channel* into the outbox; return its id. A daemon sends it."""
    event = {
        "kind": TEST,
        "change": NoticeChange.EVENT.value,
        "subject": f"channels.{channel}",
        "detail": f"asked for by {by}",
    }
    notice = NewNotice(
        channel=channel,
        kind=TEST,
        change=NoticeChange.EVENT,
        subject=f"channels.{channel}",
        event=event,
    )
    return notices.insert_single(conn, notice, now=now)
