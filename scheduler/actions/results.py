"""What a person can do about a result that is not saved: have it tried again, or do without."""

from datetime import datetime

from scheduler.domain.errors import Conflict
from scheduler.domain.reasons import check_any_reason
from scheduler.domain.results import ResultState
from scheduler.storage import results
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection
from scheduler.views.results import UNSAVED, ResultView, get_result


def retry_result(conn: Connection, run_id: int, *, by: str, now: datetime) -> ResultView:
    """Have a result saved that is not, from now on, by the `save_to` that holds now."""
    before = results.get_result(conn, run_id)
    if before.state in (ResultState.SAVED, ResultState.REMOVED):
        raise Conflict(f"the result of run {run_id} is {before.state}: it is saved once")
    results.try_again(conn, run_id, now=now)
    _note(conn, run_id, "retry", before.state, by=by, now=now)
    return get_result(conn, run_id)


def dismiss_result(
    conn: Connection, run_id: int, *, by: str, now: datetime, reason: str | None = None
) -> ResultView:
    """Do without a result: nobody tries to save it, and nobody is told of it, any more."""
    before = results.get_result(conn, run_id)
    if before.state not in UNSAVED:
        raise Conflict(f"the result of run {run_id} is {before.state}: there is nothing to dismiss")
    results.dismiss(conn, run_id, detail=check_any_reason(reason), now=now)
    _note(conn, run_id, "dismiss", before.state, by=by, now=now)
    return get_result(conn, run_id)


def _note(
    conn: Connection, run_id: int, action: str, state: ResultState, *, by: str, now: datetime
) -> None:
    columns = {"state": (state.value, results.get_result(conn, run_id).state.value)}
    record_change(conn, by, action, f"results.{run_id}", columns, now=now)
