"""Every job of the account and the queues they wait in. Pure: time comes in as a parameter."""

import heapq
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from scheduler.sandbox.jobs import Fate, FateOf, Job, JobStatus, Order
from scheduler.sandbox.settings import SandboxSettings

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_Key = tuple[str, str | None]


@dataclass(slots=True)
class _Line:
    """One queue: the job that has left it and not ended, and those behind."""

    current: Job | None = None
    waiting: deque[Job] = field(default_factory=deque)
    backlog: timedelta = timedelta()


class JobBook:
    """
    Every job, and what becomes of it as time passes.

    Each collector has its crawl queue and any number of named ones; in each, one job runs at a
    time, in order, and different queues do not know of each other (DCA, 1, trigger behaviours).
    The document does not say whether a name reaches across collectors; here it does not.

    Whatever happens between two calls is made up for in its true order by `advance`, which every
    caller does first; time that runs backwards is taken as standing still. *fate_of* says how long
    an order takes and how it ends; without it, the settings do.
    """

    def __init__(self, settings: SandboxSettings, fate_of: FateOf | None = None) -> None:
        self._fate_of = fate_of or self._usual_fate
        self.jobs: dict[str, Job] = {}
        self._settings = settings
        self._chance = Random(settings.seed)  # noqa: S311 - repeatable on purpose
        self._of_collector: defaultdict[str, list[Job]] = defaultdict(list)
        self._live: Counter[str] = Counter()
        self._lines: dict[_Key, _Line] = {}
        self._changes: list[tuple[datetime, int, Job]] = []
        self._pushed = 0
        self._now = datetime.min.replace(tzinfo=UTC)

    def advance(self, now: datetime) -> datetime:
        """Let everything happen that is due by *now*; return the time it then is."""
        self._now = max(self._now, now)
        while self._changes and self._changes[0][0] <= self._now:
            at, _, job = heapq.heappop(self._changes)
            # A pause or a cancel since then made the entry stale.
            if job.next_change() == at:
                self._change(job, at)
        return self._now

    def live(self, collector: str) -> int:
        """Return how many jobs of *collector* have not ended."""
        return self._live[collector]

    def collectors(self) -> list[str]:
        """Return every collector that ever had a job."""
        return list(self._of_collector)

    def submit(self, order: Order) -> tuple[Job, datetime]:
        """
        Accept *order* now; return the job and when it should start, as things stand.

        With confirm_cancel the job in front is cancelled and this one takes its place before any
        that wait.
        """
        job = self._record(order)
        line = self._lines.setdefault(_key(job), _Line())
        start_eta = self._start_eta(job, line)
        line.backlog += job.length
        if order.confirm_cancel:
            line.waiting.appendleft(job)
            if line.current:
                self._end(line.current, JobStatus.CANCELLED)
        else:
            line.waiting.append(job)
        self._take_next(_key(job), self._now)
        return job, start_eta

    def cancel(self, job: Job) -> None:
        """End a live *job* as cancelled; the next in its queue begins."""
        self._end(job, JobStatus.CANCELLED)
        self._take_next(_key(job), self._now)

    def pause(self, job: Job) -> None:
        """Stop a live *job* where it is; its queue waits with it."""
        job.pause(self._now)
        self._await(job)

    def resume(self, job: Job) -> None:
        """Let a paused *job* go on."""
        job.resume(self._now)
        self._await(job)

    def listed(self, collector: str, first: datetime | None, end: datetime | None) -> list[Job]:
        """Return the jobs of *collector* queued from *first* until before *end*, oldest first."""
        jobs = self._of_collector.get(collector, [])
        low = bisect_left(jobs, first, key=_queued_at) if first else 0
        high = bisect_left(jobs, end, key=_queued_at) if end else len(jobs)
        return [job for job in jobs[low:high] if job.listed_at <= self._now]

    def _record(self, order: Order) -> Job:
        fate = self._fate_of(order)
        job = Job(
            id=_job_id(self._now, len(self.jobs)),
            order=order,
            queued_at=self._now,
            listed_at=self._now,
            build_time=fate.build_time,
            time_per_input=fate.time_per_input,
            ends_as=fate.ends_as,
            loads_per_input=fate.loads_per_input,
        )
        self.jobs[job.id] = job
        self._of_collector[order.collector].append(job)
        self._live[order.collector] += 1
        return job

    def _usual_fate(self, _: Order) -> Fate:
        pace = 1 + self._settings.spread * self._chance.uniform(-1, 1)
        return Fate(
            build_time=self._settings.build_time,
            time_per_input=pace * self._settings.time_per_input,
        )

    def _start_eta(self, job: Job, line: _Line) -> datetime:
        front = line.current
        if front is None or job.order.confirm_cancel:
            return self._now + job.build_time
        free = (front.taken_at or self._now) + front.length
        return max(self._now, free) + line.backlog + job.build_time

    def _change(self, job: Job, at: datetime) -> None:
        job.change(at)
        if job.ended:
            self._leave(job)
            self._take_next(_key(job), at)
        else:
            self._await(job)

    def _end(self, job: Job, status: JobStatus) -> None:
        job.end(status, self._now)
        self._leave(job)

    def _leave(self, job: Job) -> None:
        self._live[job.order.collector] -= 1
        line = self._lines[_key(job)]
        if line.current is job:
            line.current = None
        else:
            line.backlog -= job.length

    def _take_next(self, key: _Key, now: datetime) -> None:
        line = self._lines[key]
        while line.current is None and line.waiting:
            job = line.waiting.popleft()
            # One that was cancelled while it waited is simply passed over.
            if not job.ended:
                line.backlog -= job.length
                line.current = job
                job.take(now)
                self._await(job)
        if line.current is None:
            del self._lines[key]

    def _await(self, job: Job) -> None:
        at = job.next_change()
        if at is not None:
            self._pushed += 1
            heapq.heappush(self._changes, (at, self._pushed, job))


def _key(job: Job) -> _Key:
    return job.order.collector, job.order.queue


def _queued_at(job: Job) -> datetime:
    return job.queued_at


def _job_id(now: datetime, number: int) -> str:
    """Return a batch job's id (`j_…`), unlike any that an earlier sandbox gave."""
    return f"j_{_base36(int(now.timestamp() * 1000))}{_base36(number).rjust(6, '0')}"


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
