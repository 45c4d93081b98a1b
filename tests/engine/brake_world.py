"""A world in virtual time: daemons that share one brake, an upstream that means no good."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from random import Random

from scheduler.domain.brake import (
    BACKOFF,
    LONGEST_RETRY_AFTER,
    WINDOW,
    Brake,
    Limits,
    Permits,
    after_crash,
    after_loss,
    after_success,
    after_throttle,
    after_unreachable,
    most_on_the_wire,
    refill,
)
from scheduler.engine.rate_limiter import RateLimiter
from scheduler.engine.send_buffer import SendBuffer
from tests.make import NINE, make_account, make_brake, seconds

LEASE = seconds(90)

Owner = tuple[int, int]
"""A daemon, and how often it has died."""


class Answer(StrEnum):
    OK = "ok"
    THROTTLED = "throttled"
    LOST = "lost"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Heard:
    answer: Answer
    retry_after: timedelta | None = None


@dataclass(eq=False)
class Request:
    owner: Owner


Upstream = Callable[[Random, datetime, int], Heard]
"""Decides an answer by chance, the time, and how many requests it has before it."""


@dataclass
class World:
    """
    Play until a moment, then poll what the upstream saw: *throttles* and *successes*.

    Every daemon passes soon after an answer, when the brake told it to ask again, and about once
    a second; it claims ahead while all is well, and sends on from its buffer without a pass. One
    that crashes loses what it has claimed and is back at once; its claims count until their lease
    ends, and what of them was on the wire as suspected answers of 429 from then on.
    """

    chance: Random
    upstream: Upstream
    limits: Limits
    daemons: int = 3
    slowest: float = 5.0
    crashes_every: float | None = None
    sees_in_flight: bool = True
    stops_at_once: bool = True
    passes_after: tuple[float, ...] = (0.0, 0.01, 0.5)

    now: datetime = NINE
    brake: Brake = field(default_factory=lambda: make_brake(refilled_at=None))
    throttles: list[datetime] = field(default_factory=list)
    successes: list[datetime] = field(default_factory=list)
    sent: list[datetime] = field(default_factory=list)
    sent_in_a_pause: list[datetime] = field(default_factory=list)
    stuck: list[Permits] = field(default_factory=list)
    _pause_ends: datetime = NINE
    _throttled_at: list[datetime] = field(default_factory=list)
    most_claimed: int = 0
    _deaths: Counter[int] = field(default_factory=Counter)
    _claimed: Counter[str] = field(default_factory=Counter)
    _buffers: defaultdict[Owner, SendBuffer[Request]] = field(
        default_factory=lambda: defaultdict(SendBuffer)
    )
    _at_the_upstream: int = 0
    _arrived: defaultdict[Owner, list[Heard]] = field(default_factory=lambda: defaultdict(list))
    _agenda: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _asked: set[tuple[int, datetime]] = field(default_factory=set)
    _order: int = 0

    def __post_init__(self) -> None:
        self._account = make_account(
            max_in_flight=self.limits.max_in_flight,
            requests_per_second=self.limits.requests_per_second,
        )

    def play(self, until: datetime) -> "World":
        if not self._agenda:
            for daemon in range(self.daemons):
                self._at(self.now, partial(self._beat, daemon))
                self._plan_crash(daemon)
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, happen = heapq.heappop(self._agenda)
            happen()
        self.now = until
        return self

    def most_throttles_in_a_window(self) -> int:
        return max((self._seen_from(at) for at in self.throttles), default=0)

    def _seen_from(self, start: datetime) -> int:
        return sum(start <= at < start + WINDOW for at in self.throttles)

    def _at(self, moment: datetime, happen: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._agenda, (moment, self._order, happen))

    def _beat(self, daemon: int) -> None:
        self._pass(daemon)
        self._at(self.now + seconds(self.chance.uniform(0.5, 1.5)), partial(self._beat, daemon))

    def _pass(self, daemon: int) -> None:
        owner = daemon, self._deaths[daemon]
        buffer = self._buffers[owner]
        arrived = self._arrived.pop(owner, [])
        self.brake = refill(self.brake, self.limits, now=self.now)
        for heard in arrived:
            self._apply_feedback(heard)
        limiter = self._limiter(str(owner))
        limiter.claimed[str(owner)] -= len(arrived)
        self._release(buffer, limiter, str(owner))
        count = max(0, limiter.most_to_claim(str(owner), prefetch=2 * len(arrived)))
        limiter.claim(count, owner=str(owner))
        buffer.waiting += [Request(owner) for _ in range(count)]
        for heard in arrived:
            if not self._is_plain(heard):
                buffer.acknowledge()
        buffer.slots = limiter.slots(str(owner))
        self._claimed[str(owner)] = limiter.claimed[str(owner)]
        self._note(daemon, limiter)
        self._fill(buffer)

    def _limiter(self, owner: str) -> RateLimiter:
        claimed = self._claimed if self.sees_in_flight else {owner: self._claimed[owner]}
        return RateLimiter(
            account=self._account,
            brake=self.brake,
            claimed=Counter(claimed),
            asked=0,
            throttled_at=self._throttled_at,
            polls_are_late=False,
            now=self.now,
        )

    def _release(self, buffer: SendBuffer[Request], limiter: RateLimiter, owner: str) -> None:
        if buffer.is_blocked and not limiter.is_calm:
            limiter.give_back(len(buffer.waiting), owner=owner)
            buffer.waiting.clear()

    def _note(self, daemon: int, limiter: RateLimiter) -> None:
        allowed = limiter.permits()
        if allowed.count == 0 and not self._claimed.total() and allowed.ask_again_at is None:
            self.stuck.append(allowed)
        if allowed.ask_again_at is not None:
            assert allowed.ask_again_at > self.now
            self._ask_again(daemon, allowed.ask_again_at)
        self.brake = limiter.brake
        self.most_claimed = max(self.most_claimed, self._claimed.total())

    def _is_plain(self, heard: Heard) -> bool:
        return heard.answer is Answer.OK or not self.stops_at_once

    def _ask_again(self, daemon: int, moment: datetime) -> None:
        if (daemon, moment) not in self._asked:
            self._asked.add((daemon, moment))
            self._at(moment, partial(self._pass, daemon))

    def _apply_feedback(self, heard: Heard) -> None:
        match heard.answer:
            case Answer.OK:
                self.brake = after_success(self.brake, self.limits)
            case Answer.LOST:
                self.brake = after_loss(self.brake, now=self.now)
            case Answer.UNREACHABLE:
                self.brake = after_unreachable(self.brake, now=self.now)
            case Answer.THROTTLED:
                self._throttled_at.append(self.now)
                self._pause_ends = max(self._pause_ends, self.now + _shortest_pause(heard))
                self.brake = after_throttle(self.brake, now=self.now, retry_after=heard.retry_after)

    def _fill(self, buffer: SendBuffer[Request]) -> None:
        for request in buffer.take():
            self._at_the_upstream += 1
            self.sent.append(self.now)
            if self.now < self._pause_ends:
                self.sent_in_a_pause.append(self.now)
            self._at(self._later(), partial(self._answer, request))

    def _answer(self, request: Request) -> None:
        heard = self.upstream(self.chance, self.now, self._at_the_upstream)
        self._at_the_upstream -= 1
        if heard.answer is Answer.THROTTLED:
            self.throttles.append(self.now)
        if heard.answer is Answer.OK:
            self.successes.append(self.now)
        self._at(self._later(), partial(self._arrive, request, heard))

    def _arrive(self, request: Request, heard: Heard) -> None:
        daemon, deaths = request.owner
        if deaths != self._deaths[daemon]:
            return  # there is nobody to hear it
        self._arrived[request.owner].append(heard)
        buffer = self._buffers[request.owner]
        buffer.answered(plainly=self._is_plain(heard))
        self._fill(buffer)
        passed_at = self.now + seconds(self.chance.choice(self.passes_after))
        self._at(passed_at, partial(self._pass, daemon))

    def _later(self) -> datetime:
        # Most answers are quick, some as slow as they may be.
        return self.now + seconds(self.slowest * self.chance.random() ** 4)

    def _plan_crash(self, daemon: int) -> None:
        if self.crashes_every is not None:
            pause = seconds(self.chance.uniform(0.5, 1.5) * self.crashes_every)
            self._at(self.now + pause, partial(self._crash, daemon))

    def _crash(self, daemon: int) -> None:
        owner = daemon, self._deaths[daemon]
        self._deaths[daemon] += 1
        if self._claimed[str(owner)]:
            self._at(self.now + LEASE, partial(self._lease_over, owner))
        self._plan_crash(daemon)

    def _lease_over(self, owner: Owner) -> None:
        lost = self._claimed.pop(str(owner))
        self._throttled_at += [self.now] * most_on_the_wire([lost])
        self.brake = after_crash(self.brake)


def _shortest_pause(heard: Heard) -> timedelta:
    """What the upstream asked for, if it makes sense; the first step of the backoff if not."""
    asked = heard.retry_after or timedelta()
    return min(asked, LONGEST_RETRY_AFTER) if asked > timedelta() else BACKOFF[0]
