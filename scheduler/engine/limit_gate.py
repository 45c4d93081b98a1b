"""The one place that keeps back what is beyond a limit or a budget: before the claim."""

from collections.abc import Sequence
from datetime import datetime

from scheduler.domain.limits import Wanted
from scheduler.storage import usage
from scheduler.storage.database import Connection
from scheduler.storage.runs import end_queued
from scheduler.storage.usage import Sending
from scheduler.views.allowance import Allowance


class LimitGate:
    """
    Decides for one pass which of the runs that are next may be claimed.

    The pass holds the account's brake row, so that no other daemon claims of its limits meanwhile;
    what an edit says counts from the next pass on. What may not be sent is ended in the same
    transaction, and the next pass looks at what is behind it.
    """

    def __init__(self, conn: Connection, now: datetime) -> None:
        self._conn = conn
        self._now = now
        self._allowance = Allowance(conn, now, spends=True)
        self.has_refused = False

    def admit(self, run_ids: Sequence[int]) -> set[int]:
        """Return which of these may be claimed; of the others, those that waited are ended."""
        if not run_ids or not self._allowance.is_limited:
            return set(run_ids)
        return {run.id for run in usage.list_sending(self._conn, run_ids) if self._admits(run)}

    def _admits(self, run: Sending) -> bool:
        # Of an occurrence in chunks all are sent, or none: they come one after another.
        waiting = usage.list_queued_chunks(self._conn, run)
        wanted = Wanted(
            inputs=run.inputs,
            meant_at=run.meant_at,
            is_first=run.is_first,
            inputs_ahead=sum(waiting.values()) - run.inputs,
        )
        over = None if run.past_limits else self._allowance.what_is_over(run, wanted)
        if over is None:
            self._allowance.take(run, wanted)
            return True
        self.has_refused = True
        end_queued.refuse(
            self._conn, list(waiting), reason=over.reason, detail=over.detail, now=self._now
        )
        return False
