"""What a timer of its own asks: does a daemon live, and is all that was due accounted for?"""

import hashlib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from scheduler.config import Config
from scheduler.domain.errors import InvalidInput
from scheduler.domain.notices import NoticeChange, text_of, title_of
from scheduler.domain.timestamps import display_time, iso_time
from scheduler.engine.channels import Senders
from scheduler.storage.database import Connection
from scheduler.views.attention import held_sentences, no_daemon_sentence
from scheduler.views.status import read_status
from scheduler.views.vanished import list_vanished

KIND: Final = "watchdog"
_REMIND_EVERY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What is wrong, a sentence each; *exit_code* is 1 if anything is."""

    read_at: datetime
    sentences: tuple[str, ...]
    exit_code: int


def read_alarm(conn: Connection, *, now: datetime) -> Alarm:
    """Say whether a daemon lives and what is unaccounted for; nothing is written."""
    status = read_status(conn, now=now, with_schedules=False)
    sentences = [status.unwritable] if status.unwritable is not None else []
    if sentence := no_daemon_sentence(status):
        sentences.append(sentence)
    elif not status.daemons:
        sentences += held_sentences(status)
    if status.late is not None:
        due = display_time(status.late.due_at)
        sentences.append(
            f"{status.late.count} schedules were due and have not fired, the first"
            f" {status.late.name}, due {due}"
        )
    if vanished := list_vanished(conn):
        first = vanished[0]
        sentences.append(
            f"{len(vanished)} occurrences have no row, such as {first['schedule']}'s of"
            f" {first['due_at']}"
        )
    return alarm_of(sentences, now=now)


def alarm_of(sentences: list[str], *, now: datetime) -> Alarm:
    """Return the alarm of these sentences."""
    return Alarm(read_at=now, sentences=tuple(sentences), exit_code=1 if sentences else 0)


async def raise_alarm(
    alarm: Alarm, channel: str, config: Config, environ: Mapping[str, str], state: Path | None
) -> str | None:
    """
    Tell *channel* that something is wrong, still is after a day, or is over; return why not.

    What was told last is in the file *state*; without one an alarm is told each time, under the
    same id for as long as it is the same. It does not go by the outbox, which a daemon carries.
    """
    if channel not in config.channels:
        raise InvalidInput(f"no channel is called {channel!r}")
    before = _read_state(state)
    change = _change(alarm, before)
    if change is None:
        return None
    since = before.get("since") if before else None
    since = since or iso_time(alarm.read_at)
    told = before.get("detail") if change is NoticeChange.RECOVERED and before else None
    event = {
        "kind": KIND,
        "change": change.value,
        "subject": f"daemons on {socket.gethostname()}",
        "since": since,
        "detail": told or "; ".join(alarm.sentences),
    }
    senders = Senders(
        clock=lambda: alarm.read_at,
        read_secret=lambda reference: reference.read_token(environ),
        limits=lambda: config.limits,
        environ=environ,
    )
    error = await senders.send(config.channels[channel], _message(event, channel, alarm, state))
    if error is None:
        _write_state(state, event, alarm)
    return error


def _change(alarm: Alarm, before: Mapping[str, Any] | None) -> NoticeChange | None:
    if before is None:
        return NoticeChange.OPENED if alarm.sentences else None
    if not alarm.sentences:
        return NoticeChange.RECOVERED
    told_at = datetime.fromisoformat(str(before["told_at"]))
    return NoticeChange.STILL if alarm.read_at - told_at >= _REMIND_EVERY else None


def _message(
    event: Mapping[str, Any], channel: str, alarm: Alarm, state: Path | None
) -> dict[str, Any]:
    known_by = event["since"] if state is not None else event["detail"]
    words = f"{event['subject']} {event['change']} {known_by}"
    return {
        "id": f"msg_{hashlib.sha256(words.encode()).hexdigest()[:32]}",
        "created_at": iso_time(alarm.read_at),
        "channel": channel,
        "title": title_of([event]),
        "text": text_of([event]),
        "notices": [event],
    }


def _read_state(state: Path | None) -> dict[str, Any] | None:
    try:
        found = json.loads(state.read_text()) if state is not None else None
    except (OSError, ValueError):
        return None
    is_known = isinstance(found, dict) and {"since", "told_at"} <= set(found)
    return found if is_known else None


def _write_state(state: Path | None, event: Mapping[str, Any], alarm: Alarm) -> None:
    if state is None:
        return
    if event["change"] == NoticeChange.RECOVERED:
        state.unlink(missing_ok=True)
        return
    kept = {"since": event["since"], "detail": event["detail"], "told_at": iso_time(alarm.read_at)}
    beside = state.with_name(f"{state.name}.new")
    beside.write_text(json.dumps(kept))
    beside.replace(state)
