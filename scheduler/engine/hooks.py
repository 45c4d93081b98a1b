"""What `on_end` hears of a run: all that is shown of it, once its result is saved or given up."""

import json
from datetime import datetime

from scheduler.domain.notices import RUN_ENDED, NewNotice, NoticeChange
from scheduler.storage import alerts, notices
from scheduler.storage.database import Connection
from scheduler.views.json_document import json_value
from scheduler.views.runs import show_run


def tell_end(conn: Connection, run_id: int, *, now: datetime) -> None:
    """Write the message for the channel that the run's schedule names; none without one."""
    channel = alerts.find_on_end(conn, run_id)
    if channel is None:
        return
    shown = show_run(conn, run_id, now=now)
    event = {
        "kind": RUN_ENDED,
        "change": NoticeChange.EVENT.value,
        "subject": f"runs.{run_id}",
        "schedule": shown.schedule,
        "run_id": run_id,
        "detail": f"{shown.state}, {shown.reason}",
        "run": json.loads(json.dumps(json_value(shown))),
    }
    notice = NewNotice(
        channel=channel,
        kind=RUN_ENDED,
        change=NoticeChange.EVENT,
        subject=f"runs.{run_id}",
        event=event,
    )
    notices.insert_single(conn, notice, now=now)
