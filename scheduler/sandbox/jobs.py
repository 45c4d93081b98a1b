"""One job and its life over time. Pure: whoever asks says what time it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from scheduler.sandbox.bodies import Input

_NOTHING = timedelta()
# "Batch results kept 16 days" (DCA, 1, limits).
_RETENTION = timedelta(days=16)


class JobStatus(StrEnum):
    """Where a job is. QUEUED never leaves the sandbox: the document has no word for it."""

    QUEUED = "queued"
    BUILDING = "building"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    CANCELED = "canceled"  # "also seen" (DCA, 2)


# An input may ask for the end of its job with this field, or for its own failure with the other.
END_FIELD = "sandbox_status"
ERROR_FIELD = "sandbox_error"
_ENDS = {JobStatus.FAILED.value: JobStatus.FAILED, JobStatus.CANCELED.value: JobStatus.CANCELED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a trigger asks for. *queue* None is the collector's own crawl queue."""

    collector: str
    inputs: tuple[Input, ...]
    name: str | None = None
    queue: str | None = None
    confirm_cancel: bool = False
    deadline: timedelta | None = None
    peer: str = "127.0.0.1"
    # "`CP` = started in the panel" (DCA, 3).
    trigger_type: str = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What becomes of an order: how long it builds, what each input takes, how it ends."""

    build_time: timedelta
    time_per_input: timedelta = timedelta()
    ends_as: JobStatus = JobStatus.DONE
    loads_per_input: float = 1.0


FateOf = Callable[[Order], Fate]


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """
    One accepted order. It waits, builds, runs one page per input, and ends.

    `change` must be called at each `next_change` for the stored moments to be right; JobBook does.
    A deadline counts from the start of the running, which the document leaves open, and goes on
    while the job is paused. The job it ends is DONE with inputs never reached: partial.
    """

    id: str
    order: Order
    queued_at: datetime
    # Hidden from the jobs list until then.
    listed_at: datetime
    # Shown there without its inputs until then, and under this name.
    counted_at: datetime | None = None
    listed_name: str | None = None
    # What each other of its inputs fails with, the first to begin with.
    error_of_others: str | None = None
    build_time: timedelta
    time_per_input: timedelta
    # How it ends when all is loaded, unless an input says otherwise.
    ends_as: JobStatus = JobStatus.DONE
    loads_per_input: float = 1.0
    # How many inputs it will load, if nothing stops it.
    pages: int = field(init=False)

    taken_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    _paused: bool = False
    _worked: timedelta = _NOTHING
    _working_since: datetime | None = None
    _ended_as: JobStatus | None = None

    def __post_init__(self) -> None:
        ends = (at for at, one in enumerate(self.order.inputs, 1) if one.get(END_FIELD) in _ENDS)
        self.pages = next(ends, len(self.order.inputs))

    @property
    def status(self) -> JobStatus:
        """Where the job is, as of its last change."""
        if self._ended_as:
            return self._ended_as
        if self._paused:
            return JobStatus.PAUSED
        if self.taken_at is None:
            return JobStatus.QUEUED
        return JobStatus.BUILDING if self.started_at is None else JobStatus.RUNNING

    def error_of(self, number: int) -> str | None:
        """Return why the input of that *number*, from 0, fails; None if it does not."""
        own = self.order.inputs[number].get(ERROR_FIELD)
        if own:
            return str(own)
        return None if number % 2 else self.error_of_others

    @property
    def ended(self) -> bool:
        """Whether nothing can change it any more."""
        return self._ended_as is not None

    @property
    def length(self) -> timedelta:
        """How long it will occupy its queue, if nobody pauses or cancels it."""
        running = self.pages * self.time_per_input
        return self.build_time + min(running, self.order.deadline or running)

    def reached(self, now: datetime) -> int:
        """Return how many inputs it has loaded by *now*."""
        if self.started_at is None:
            return 0
        if not self.time_per_input:
            return self.pages
        return min(self.pages, (self._work(now) - self.build_time) // self.time_per_input)

    def page_loads(self, now: datetime) -> int:
        """Return what is billed for it by *now*."""
        return round(self.reached(now) * self.loads_per_input)

    def expired(self, now: datetime) -> bool:
        """Tell whether its results are gone."""
        return self.finished_at is not None and self.finished_at + _RETENTION <= now

    def next_change(self) -> datetime | None:
        """Return when its status changes by itself; None if only someone else can change it."""
        if self.ended or self.taken_at is None:
            return None
        if self.started_at is None:
            return self._worked_by(self.build_time)
        end = self._worked_by(self.build_time + self.pages * self.time_per_input)
        if self.order.deadline is None:
            return end
        cut = self.started_at + self.order.deadline
        return min(cut, end) if end else cut

    def change(self, now: datetime) -> None:
        """Do what next_change announced for *now*: start, or end."""
        if self.started_at is None:
            self.started_at = now
        elif self.reached(now) < self.pages:
            self.end(JobStatus.DONE, now)
        else:
            last = self.order.inputs[self.pages - 1].get(END_FIELD)
            self.end(_ENDS.get(str(last), self.ends_as), now)

    def take(self, now: datetime) -> None:
        """Let it leave the queue: its building begins, unless it was paused while waiting."""
        self.taken_at = now
        if not self._paused:
            self._working_since = now

    def pause(self, now: datetime) -> None:
        """Stop its work; it keeps its place."""
        self._settle(now)
        self._paused = True

    def resume(self, now: datetime) -> None:
        """Let its work go on where it stopped."""
        if self._paused:
            self._paused = False
            self._working_since = now if self.taken_at else None

    def end(self, status: JobStatus, now: datetime) -> None:
        """End it for good; what it loaded so far stays."""
        self._settle(now)
        self.finished_at = now
        self._ended_as = status

    def _work(self, now: datetime) -> timedelta:
        since = self._working_since
        return self._worked + (now - since if since else _NOTHING)

    def _worked_by(self, work: timedelta) -> datetime | None:
        since = self._working_since
        return since + work - self._worked if since else None

    def _settle(self, now: datetime) -> None:
        self._worked = self._work(now)
        self._working_since = None
