"""Counts what has happened to runs, for the metrics."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from scheduler.domain.records import ENDED_STATES, RunState
from scheduler.domain.tally import RUNS_ENDED, START_DELAY, SUM, Tally
from scheduler.engine.events import ConsumerStep
from scheduler.engine.tuning import COUNTED_EVERY, EVENTS_AT_ONCE
from scheduler.storage import counted_events, last_ends, run_events, tallies, usage
from scheduler.storage.database import Connection
from scheduler.storage.run_events import Stretch

METRICS: Final = usage.COUNTER
"""The consumer that all daemons share: each event is counted once."""

_ORIGIN: Final = {False: "schedule", True: "request"}
_COUNTED: Final = frozenset({RunState.COLLECTING, *ENDED_STATES})


@dataclass(slots=True, kw_only=True)
class CountStep(ConsumerStep):
    """Counts ends and acceptances; keeps when each schedule last ended, and succeeded."""

    consumer: str = METRICS
    every: timedelta = COUNTED_EVERY
    states: frozenset[RunState] = _COUNTED

    def take(self, conn: Connection) -> int:
        """Count the next events."""
        stretch = run_events.take_stretch(
            conn, self.consumer, limit=EVENTS_AT_ONCE, states=self.states
        )
        if stretch is None:
            return 0
        _count(conn, stretch)
        return stretch.count


def _count(conn: Connection, stretch: Stretch) -> None:
    tally = Tally()
    for delays in counted_events.list_delays(conn, stretch, START_DELAY.bounds):
        origin, bucket = _ORIGIN[delays.is_asked], START_DELAY.buckets[delays.beyond]
        tally.add(START_DELAY.name, origin, bucket, amount=delays.number)
        tally.add(START_DELAY.name, origin, SUM, amount=delays.seconds)
    for ends in counted_events.list_ends(conn, stretch):
        tally.add(RUNS_ENDED, ends.state, ends.reason, amount=ends.count)
    tallies.add(conn, tally.values())
    usage.record(conn, stretch)
    last_ends.record(conn, counted_events.list_schedule_ends(conn, stretch))
