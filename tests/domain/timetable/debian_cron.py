"""
Debian cron over again, minute by minute, sharing nothing with the product: the judge of it.

The main loop, find_jobs() and the parser follow cron.c and entry.c of vixie-cron 3.0pl1
as Debian ships it; unlike that program, every change of offset is noticed at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
THREE_HOURS = 180
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
NAMES = {3: (MONTHS, 1), 4: (DAYS, 0)}


@dataclass(frozen=True)
class Tick:
    """At *instant*, cron looks for jobs of the wall-clock minute *wall*."""

    instant: datetime
    wall: datetime
    wild: bool
    fixed: bool


class Entry:
    def __init__(self, text: str) -> None:
        fields = text.split()
        self.bits = [parse_field(index, field) for index, field in enumerate(fields)]
        if self.bits[4] & {0, 7}:
            self.bits[4] |= {0, 7}
        self.wild = fields[0][0] == "*" or fields[1][0] == "*"
        self.day_star = fields[2][0] == "*" or fields[4][0] == "*"

    def runs_at(self, tick: Tick) -> bool:
        minutes, hours, doms, months, dows = self.bits
        wall = tick.wall
        if not (tick.wild if self.wild else tick.fixed):
            return False
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        dom, dow = wall.day in doms, wall.isoweekday() in dows
        return (dom and dow) if self.day_star else (dom or dow)


def parse_field(index: int, text: str) -> set[int]:
    bits: set[int] = set()
    for part in text.split(","):
        bounds, _, step = part.partition("/")
        low, high = BOUNDS[index]
        if bounds != "*":
            first, _, last = bounds.partition("-")
            low = number(index, first)
            if last:
                high = number(index, last)
            elif not step:
                high = low
        bits.update(range(low, high + 1, int(step or 1)))
    return bits


def number(index: int, text: str) -> int:
    if text.isdigit():
        return int(text)
    names, first = NAMES[index]
    return names.index(text.lower()) + first


def ticks(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[Tick]:
    """Yield what a cron started at *start* looks for until *end*, both on whole minutes."""
    virtual = clock(zone, start)
    now = start
    while now < end:
        now += MINUTE
        running = clock(zone, now)
        ahead = (running - virtual) // MINUTE
        if 0 < ahead <= 5:
            while virtual < running:
                virtual += MINUTE
                yield Tick(now, virtual, wild=True, fixed=True)
        elif 5 < ahead <= THREE_HOURS:
            yield Tick(now, running, wild=True, fixed=False)
            while virtual < running:
                virtual += MINUTE
                yield Tick(now, virtual, wild=False, fixed=True)
        elif -THREE_HOURS < ahead <= 0:
            yield Tick(now, running, wild=True, fixed=False)
        else:
            virtual = running
            yield Tick(now, running, wild=True, fixed=True)


def clock(zone: ZoneInfo, now: datetime) -> datetime:
    """What the wall clock shows, written as if it were UTC so that it can be subtracted."""
    return now.astimezone(zone).replace(tzinfo=UTC, fold=0)
