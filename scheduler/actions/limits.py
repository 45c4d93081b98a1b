"""A person's word for what is beyond a limit."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from scheduler.domain.errors import NeedsConfirmation
from scheduler.domain.limits import Wanted
from scheduler.domain.records import NewRun
from scheduler.storage import usage
from scheduler.storage.database import Connection
from scheduler.views.allowance import Allowance


def within_limits(
    conn: Connection, new: Sequence[NewRun], *, now: datetime, confirmed: bool
) -> list[NewRun]:
    """
    Return *new* as they are written, as `past_limits` where one is beyond a limit.

    Their bodies are stored already. NeedsConfirmation where some are and that was not *confirmed*.
    """
    allowance = Allowance(conn, now)
    if not allowance.is_limited:
        return list(new)
    inputs = usage.count_inputs(conn, {run.body for run in new if run.body is not None})
    beyond: dict[int, str] = {}
    for index, run in enumerate(new):
        wanted = Wanted(
            inputs=inputs.get(run.body or "", 0),
            meant_at=run.created_at,
            is_first=run.chunk == 1 or run.retry_of is not None,
        )
        over = allowance.what_is_over(run, wanted)
        if over is not None:
            beyond[index] = over.detail
        allowance.take(run, wanted)
    if beyond and not confirmed:
        others = f", and {len(beyond) - 1} runs more are beyond limits" if len(beyond) > 1 else ""
        raise NeedsConfirmation(f"{next(iter(beyond.values()))}{others}", len(new))
    # Of an occurrence in chunks all are sent, or none.
    return [replace(run, past_limits=bool(beyond)) for run in new]
