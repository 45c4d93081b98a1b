"""A person's word for what is sent in spite of a pause or a freeze."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from scheduler.actions.pauses import check_restore
from scheduler.domain.errors import Conflict, NeedsConfirmation
from scheduler.domain.holds import Hold, account_scope, pauses_of
from scheduler.domain.records import NewRun
from scheduler.storage import holds
from scheduler.storage.database import Connection

Told = dict[str, tuple[object, object]]
"""What the audit is told, by column."""


def go_past_pauses(
    conn: Connection, new: Sequence[NewRun], *, now: datetime, confirmed: bool
) -> tuple[list[NewRun], Told]:
    """
    Return *new* as they are written where a pause holds them up, and what that is.

    They go past those of their queue and schedule, past freezes, and past what waits there.
    NeedsConfirmation where that is any and was not *confirmed*; Conflict for the pause of an
    account, and for a restored backup while what waited in it is looked for.
    """
    if not new:
        return [], {}
    passed = _holds_of(conn, new[0], now)
    if not passed:
        return list(new), {}
    words = "; ".join(hold.present for hold in passed)
    if not confirmed:
        raise NeedsConfirmation(f"it would be sent all the same, though {words}", len(new))
    return [replace(run, past_pauses=True, order_key=None) for run in new], {
        "past_pauses": (None, words)
    }


def _holds_of(conn: Connection, run: NewRun, now: datetime) -> list[Hold]:
    """Return the pauses that hold a run up; Conflict for what is never passed."""
    lasting = {hold.scope: hold for hold in holds.list_holds(conn, since=now, until=now)}
    if (paused := lasting.get(account_scope(run.account))) is not None:
        raise Conflict(
            f"{paused.present}: nothing is sent past the pause of an account, resume that first"
        )
    check_restore(conn, "freeze:all" in lasting)
    return [lasting[scope] for scope in pauses_of(run) if scope in lasting]
