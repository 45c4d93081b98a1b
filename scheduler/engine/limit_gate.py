"""The one place that keeps back what is beyond a limit, a budget or its time: before the claim."""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from scheduler.domain.canary import why_not_sent
from scheduler.domain.finish import too_late_to_finish, with_deadline
from scheduler.domain.limits import Wanted
from scheduler.domain.records import Reason
from scheduler.storage import usage
from scheduler.storage.database import Connection
from scheduler.storage.runs import canaries, end_queued, write
from scheduler.storage.usage import Sending
from scheduler.views.allowance import Allowance


def settle_canaries(conn: Connection, now: datetime) -> None:
    """Let go what waits for a canary that ended well; end what waits for any other that ended."""
    for _, group in groupby(canaries.list_after_ended(conn), key=lambda waiting: waiting.canary):
        first, *others = group
        run_ids = [first.run_id, *(other.run_id for other in others)]
        if over := why_not_sent(first):
            reason, detail = over
            end_queued.refuse(conn, run_ids, reason=reason, detail=detail, now=now)
        else:
            canaries.let_go(conn, run_ids, send_before=first.send_before)


class LimitGate:
    """
    Decides for one pass which of the runs that are next may be claimed.

    The pass holds the account's brake row, so that no other daemon claims of its limits meanwhile;
    what an edit says counts from the next pass on. What may not be sent is ended in the same
    transaction, and the next pass looks at what is behind it.
    """

    def __init__(self, conn: Connection, now: datetime, *, has_finish: bool = False) -> None:
        self._has_finish = has_finish
        self._conn = conn
        self._now = now
        self._allowance = Allowance(conn, now, spends=True)
        self.has_refused = False

    def admit(self, run_ids: Sequence[int]) -> set[int]:
        """Return which of these may be claimed; of the others, those that waited are ended."""
        in_time = self._in_time(run_ids) if run_ids and self._has_finish else run_ids
        if not in_time or not self._allowance.is_limited:
            return set(in_time)
        return {run.id for run in usage.list_sending(self._conn, in_time) if self._admits(run)}

    def _in_time(self, run_ids: Sequence[int]) -> Sequence[int]:
        """Give what must end by some moment its deadline, and end what has too little time left."""
        late = set()
        for run_id, query, finish_by in write.list_finishing(self._conn, run_ids):
            if why := too_late_to_finish(finish_by, self._now):
                late.add(run_id)
                self.has_refused = True
                end_queued.refuse(
                    self._conn, [run_id], reason=Reason.NO_TIME, detail=why, now=self._now
                )
            else:
                write.set_query(self._conn, run_id, with_deadline(query, finish_by - self._now))
        return [run_id for run_id in run_ids if run_id not in late]

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
