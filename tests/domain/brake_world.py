"""A world in virtual time: daemons that share one brake, an upstream that means no good."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from random import Random

from scheduler.domain.brake import (
    BACKOFF,
    LONGEST_RETRY_AFTER,
    WINDOW,
    Allowance,
    Brake,
    Limits,
    after_crash,
    after_loss,
    after_success,
    after_throttle,
    after_unreachable,
    allowance,
    refill,
)
from tests.make import NINE, make_brake, seconds

LEASE = seconds(90)


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
    daemon: int
    is_lost_with_its_daemon: bool = False


Upstream = Callable[[Random, datetime, int], Heard]
"""Decides an answer by chance, the time, and how many requests it has before it."""


@dataclass
class World:
    """
    Play until a moment, then look at what the upstream saw: *throttles* and *successes*.

    Every daemon passes when it is woken by an answer, when the brake told it to ask again, and
    about once a second. One that crashes loses what it has in flight and is back soon; its
    claims count as in flight until their lease ends, and as suspected answers of 429 from then on.
    """

    chance: Random
    upstream: Upstream
    limits: Limits
    daemons: int = 3
    slowest: float = 5.0
    crashes_every: float | None = None
    sees_in_flight: bool = True

    now: datetime = NINE
    brake: Brake = field(default_factory=lambda: make_brake(refilled_at=None))
    throttles: list[datetime] = field(default_factory=list)
    successes: list[datetime] = field(default_factory=list)
    sent: list[datetime] = field(default_factory=list)
    sent_in_a_pause: list[datetime] = field(default_factory=list)
    stuck: list[Allowance] = field(default_factory=list)
    _pause_ends: datetime = NINE
    _throttled_at: list[datetime] = field(default_factory=list)
    _in_flight: set[Request] = field(default_factory=set)
    _at_the_upstream: int = 0
    _arrived: dict[int, list[tuple[Request, Heard]]] = field(default_factory=dict)
    _agenda: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _asked: set[tuple[int, datetime]] = field(default_factory=set)
    _order: int = 0

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
        self.brake = refill(self.brake, self.limits, now=self.now)
        for request, heard in self._arrived.pop(daemon, []):
            self._in_flight.discard(request)
            self._heed(heard)
        allowed = allowance(
            self.brake,
            self.limits,
            now=self.now,
            in_flight=len(self._in_flight) if self.sees_in_flight else 0,
            throttled_at=self._throttled_at,
        )
        if allowed.count == 0 and not self._in_flight and allowed.ask_again_at is None:
            self.stuck.append(allowed)
        if allowed.ask_again_at is not None:
            assert allowed.ask_again_at > self.now
            self._ask_again(daemon, allowed.ask_again_at)
        self.brake = replace(self.brake, tokens=self.brake.tokens - allowed.count)
        for _ in range(allowed.count):
            self._send(daemon)

    def _ask_again(self, daemon: int, moment: datetime) -> None:
        if (daemon, moment) not in self._asked:
            self._asked.add((daemon, moment))
            self._at(moment, partial(self._pass, daemon))

    def _heed(self, heard: Heard) -> None:
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

    def _send(self, daemon: int) -> None:
        request = Request(daemon)
        self._in_flight.add(request)
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
        if not request.is_lost_with_its_daemon:
            self._arrived.setdefault(request.daemon, []).append((request, heard))
            self._pass(request.daemon)

    def _later(self) -> datetime:
        # Most answers are quick, some as slow as they may be.
        return self.now + seconds(self.slowest * self.chance.random() ** 4)

    def _plan_crash(self, daemon: int) -> None:
        if self.crashes_every is not None:
            pause = seconds(self.chance.uniform(0.5, 1.5) * self.crashes_every)
            self._at(self.now + pause, partial(self._crash, daemon))

    def _crash(self, daemon: int) -> None:
        self._arrived.pop(daemon, None)
        for request in self._in_flight:
            if request.daemon == daemon and not request.is_lost_with_its_daemon:
                request.is_lost_with_its_daemon = True
                self._at(self.now + LEASE, partial(self._lease_over, request))
        self._plan_crash(daemon)

    def _lease_over(self, request: Request) -> None:
        self._in_flight.discard(request)
        self._throttled_at.append(self.now)
        self.brake = after_crash(self.brake)


def _shortest_pause(heard: Heard) -> timedelta:
    """What the upstream asked for, if it makes sense; the first step of the backoff if not."""
    asked = heard.retry_after or timedelta()
    return min(asked, LONGEST_RETRY_AFTER) if asked > timedelta() else BACKOFF[0]
