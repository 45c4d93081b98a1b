"""How the rehearsed runs went: mostly well, with a late night, an outage, and one that breaks."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Final

from scheduler.domain.records import NewRun, Outcome, Reason, RunState
from scheduler.storage.past_runs import PastAttempt, PastCollection, PastRun

DAYS: Final = 35
BROKEN: Final = "vendor-feed"
QUEUE: Final = "images"
STOPPED: Final = "sellers"
SOMEBODY: Final = "anna"
HELD_FOR: Final = timedelta(hours=4)
"""So long the queue QUEUE is paused by now."""

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_STATES: Final = (
    (0.004, RunState.FAILED, Reason.COLLECTION_FAILED, "the upstream says: crawl failed"),
    (0.006, RunState.FAILED, Reason.NO_ROWS, "it ended well, and brought no row for 3 inputs"),
    (0.016, RunState.PARTIAL, Reason.SOME_INPUTS_FAILED, "1 of 3 inputs failed"),
    (0.018, RunState.CANCELLED, Reason.COLLECTION_CANCELLED, "cancelled at the upstream"),
)
"""What a run becomes with so great a chance, or else it succeeds."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened until *now*."""

    now: datetime

    @property
    def night(self) -> datetime:
        """When the night began in which the upstream answered with 429."""
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0) - 9 * _DAY

    @property
    def outage(self) -> datetime:
        """When the collector `reviews` began to fail, for half a day."""
        return self.now.replace(hour=6, minute=0, second=0, microsecond=0) - 16 * _DAY

    def tell(self, new: NewRun, number: int) -> PastRun | None:
        """Return what became of a run; None for one that would still go on."""
        luck = Random(f"{new.schedule} {new.due_at.isoformat()}")  # noqa: S311 - a story
        if new.queue == QUEUE and new.due_at > self.now - HELD_FOR:
            return PastRun(new=new, state=RunState.QUEUED, reason=Reason.DUE)
        if self._was_paused(new):
            return self._never_sent(
                new, Reason.PAUSED, f"paused by {SOMEBODY}: new layout of the shop"
            )
        late = self._lateness(new, luck)
        if new.send_before is not None and new.not_before + late > new.send_before:
            detail = "its misfire grace ended before it could be sent"
            return self._never_sent(new, Reason.MISSED, detail, at=new.send_before)
        if self._is_refused(new):
            return _refused(new, late)
        told = self._sent(new, number, late, luck)
        is_over = told.ended_at is not None and told.ended_at < self.now
        return told if is_over else None

    def _was_paused(self, new: NewRun) -> bool:
        begun = self.now - 21 * _DAY
        is_lately = new.schedule == STOPPED and new.due_at > self.now - _DAY
        return is_lately or (new.schedule == "prices-us" and begun < new.due_at < begun + 2 * _DAY)

    def _is_refused(self, new: NewRun) -> bool:
        return new.schedule == BROKEN and new.due_at > self.now - timedelta(hours=20)

    def _in_the_night(self, moment: datetime) -> bool:
        return self.night <= moment < self.night + 5 * _HOUR

    def _lateness(self, new: NewRun, luck: Random) -> timedelta:
        if self._in_the_night(new.due_at):
            return timedelta(minutes=luck.uniform(4, 50))
        usual = luck.lognormvariate(-2.3, 0.6)
        return timedelta(seconds=usual + (luck.uniform(3, 90) if luck.random() < 0.02 else 0))

    def _never_sent(
        self, new: NewRun, reason: Reason, detail: str, *, at: datetime | None = None
    ) -> PastRun:
        ended_at = at or new.due_at
        return PastRun(
            new=replace(new, body=None),
            state=RunState.SKIPPED,
            reason=reason,
            detail=detail,
            ended_at=ended_at,
        )

    def _sent(self, new: NewRun, number: int, late: timedelta, luck: Random) -> PastRun:
        state, reason, detail = self._outcome(new, luck)
        claimed_at = new.not_before + late
        tries = self._tries(new, claimed_at, luck)
        collection = _collection(new, number, tries[-1].resolved_at, state, reason, luck)
        return PastRun(
            new=new,
            state=state,
            reason=reason,
            detail=detail,
            ended_at=collection.finished_at + timedelta(seconds=luck.uniform(1, 25)),
            attempts=tries,
            collection=collection,
        )

    def _outcome(self, new: NewRun, luck: Random) -> tuple[RunState, Reason, str | None]:
        is_down = self.outage <= new.due_at < self.outage + 12 * _HOUR
        if is_down and new.collector == "reviews":
            return RunState.FAILED, Reason.COLLECTION_FAILED, "the upstream says: target blocked"
        chance = luck.random()
        for below, state, reason, detail in _STATES:
            if chance < below:
                return state, reason, detail
        return RunState.SUCCEEDED, Reason.DONE, None

    def _tries(self, new: NewRun, claimed_at: datetime, luck: Random) -> tuple[PastAttempt, ...]:
        took = timedelta(seconds=luck.uniform(0.08, 0.6))
        accepted = PastAttempt(
            claimed_at=claimed_at,
            resolved_at=claimed_at + took,
            outcome=Outcome.ACCEPTED,
            http_status=200,
        )
        if not self._in_the_night(new.due_at):
            return (accepted,)
        first_at = new.not_before + _SECOND
        deferred = PastAttempt(
            claimed_at=first_at,
            resolved_at=first_at + took,
            outcome=Outcome.DEFERRED,
            http_status=429,
            detail="HTTP 429: too many requests",
        )
        return deferred, accepted


def _refused(new: NewRun, late: timedelta) -> PastRun:
    claimed_at = new.not_before + late
    detail = 'HTTP 400: the collector has no input field "url"'
    refused = PastAttempt(
        claimed_at=claimed_at,
        resolved_at=claimed_at + _SECOND / 4,
        outcome=Outcome.REJECTED,
        http_status=400,
        detail=detail,
    )
    return PastRun(
        new=new,
        state=RunState.FAILED,
        reason=Reason.REFUSED,
        detail=detail,
        ended_at=refused.resolved_at,
        attempts=(refused,),
    )


def _collection(  # what it brought, and how long that took
    new: NewRun,
    number: int,
    accepted_at: datetime,
    state: RunState,
    reason: Reason,
    luck: Random,
) -> PastCollection:
    usual = Random(new.schedule)  # noqa: S311 - a story
    seconds = usual.uniform(60, 1_300) * luck.lognormvariate(0, 0.18)
    rows = round(usual.uniform(300, 18_000) * luck.gauss(1, 0.04))
    started_at = accepted_at + timedelta(seconds=luck.uniform(2, 30))
    is_good = state is RunState.SUCCEEDED
    lines = rows if is_good else 0 if reason is Reason.NO_ROWS else rows // 2
    return PastCollection(
        id=f"j_rehearsed{number:06}",
        start_eta=accepted_at + timedelta(seconds=10),
        status="cancelled" if state is RunState.CANCELLED else "failed" if not lines else "done",
        inputs=3,
        lines=lines,
        fails=1 if state is RunState.PARTIAL else 0,
        pages=lines * 3 // 2 + 3,
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=seconds),
    )
