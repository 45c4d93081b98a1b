"""Notes what is wrong and what is over, and writes what is to be told of it into the outbox."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from scheduler.domain.notices import (
    COUNTED,
    OF_EVENTS,
    Alert,
    AlertKind,
    EndedRun,
    NewNotice,
    Observed,
    Rule,
    cadence_lost_by,
    ended_by,
    events_of_end,
    notices_of,
    opened_by,
)
from scheduler.domain.notices import SUCCEEDED as SUCCEEDED_NOTICE
from scheduler.domain.records import ENDED_STATES, RunState
from scheduler.engine.events import ConsumerStep
from scheduler.engine.hooks import tell_end
from scheduler.engine.loop import Wake
from scheduler.engine.tuning import EVENTS_AT_ONCE, LOOKED_EVERY, STANDING_EVERY
from scheduler.storage import alerts, freezes, notices, results, run_events, standing
from scheduler.storage.database import Connection

_SKIPPED: Final = RunState.SKIPPED
NOTICES: Final = "notices"
"""The consumer that all daemons share: each end of a run is noted once."""


@dataclass(slots=True, kw_only=True)
class AlertStep(ConsumerStep):
    """
    Take the ends of runs, look at what else is wrong, and write alerts and notices.

    All of it, and the cursor's step, are one transaction: what was told is told once, whoever dies
    between any two statements. Who holds the cursor decides by its own file's rules.
    """

    rules: Callable[[], Sequence[Rule]]
    wake_delivery: Wake
    consumer: str = NOTICES
    every: timedelta = LOOKED_EVERY
    states: frozenset[RunState] = frozenset(ENDED_STATES)
    now: Callable[[], datetime]
    _looked_at: datetime | None = None

    async def run(self, now: datetime) -> datetime | None:
        """Look at all of it; return when to look again."""
        if self._done_at is not None and self._done_at <= now < self._done_at + self.every:
            return self._done_at + self.every
        look = await self.db.read(partial(self._look, now=now))
        if look.has_work:
            work = partial(self._take, standing_now=look.standing_now, now=now)
            count = await self.db.write(work)
            self.wake_delivery()
            if count == EVENTS_AT_ONCE:
                return now
        self._done_at = now
        return now + self.every

    def take(self, conn: Connection) -> int:
        """Take the next ends; return how many."""
        return self._take(conn, standing_now=None, now=self.now())

    def _look(self, conn: Connection, *, now: datetime) -> "_Look":
        """
        Look at all else that is wrong, and whether there is anything to write: mostly not.

        Not in the transaction that writes: it may look through much, and all others would wait.
        """
        found = alerts.list_open(conn)
        standing_now = None
        has_work = run_events.has_news(conn, self.consumer, states=self.states)
        if self._looked_at is None or not self._looked_at <= now < self._looked_at + STANDING_EVERY:
            standing_now = standing.list_standing(conn, now=now)
            self._looked_at = now
            seen = set(map(_shown, standing_now))
            known = {_shown(one) for one in found if one.kind not in OF_EVENTS}
            has_work = has_work or seen != known or bool(alerts.list_gone(conn, found))
        has_work = has_work or any(True for _ in self._told_of(conn, found, now))
        return _Look(standing_now=standing_now, has_work=has_work)

    def _take(
        self, conn: Connection, *, standing_now: Sequence[Observed] | None, now: datetime
    ) -> int:
        if not run_events.hold_consumer(conn, self.consumer):
            return 0
        stretch = run_events.take_stretch(
            conn, self.consumer, limit=EVENTS_AT_ONCE, states=self.states
        )
        book = _Book(conn, now)
        ended = [] if stretch is None else self._list_ended(conn, stretch, book.subjects())
        for run in ended:
            book.note_end(run)
        if standing_now is not None:
            book.note_standing(standing_now)
            book.note_gone()
        self._write_notices(conn, book, ended, now)
        return 0 if stretch is None else stretch.count

    def _write_notices(
        self, conn: Connection, book: "_Book", ended: Sequence[EndedRun], now: datetime
    ) -> None:
        new = [*self._told_of(conn, book.changed_and_open(), now)]
        frozen = freezes.list_freezes(conn)
        for run in ended:
            new += events_of_end(run, self.rules(), frozen, now=now)
        notices.insert_notices(conn, new, now=now)
        hooked = [run.run_id for run in ended if run.on_end and run.to_state is not _SKIPPED]
        # Who saves a result tells of the run's end himself, once it is there or given up.
        for run_id in sorted({*hooked} - results.list_expected(conn, hooked)):
            tell_end(conn, run_id, now=now)

    def _list_ended(
        self, conn: Connection, stretch: run_events.Stretch, subjects: set[str]
    ) -> list[EndedRun]:
        ended = alerts.list_ended_runs(conn, stretch, subjects, with_good=self._wants_good())
        begun = {run.subject for run in ended if opened_by(run) is not None} - subjects
        if not begun:
            return ended
        # What begins in this stretch may be over in it, too.
        return alerts.list_ended_runs(conn, stretch, subjects | begun, with_good=self._wants_good())

    def _told_of(self, conn: Connection, found: Sequence[Alert], now: datetime) -> list[NewNotice]:
        rules = self.rules()
        if not rules or not found:
            return []
        told = notices.list_told(conn, [alert.id for alert in found])
        frozen = freezes.list_freezes(conn)
        return list(notices_of(found, rules, told, frozen, now=now))

    def _wants_good(self) -> bool:
        return any(SUCCEEDED_NOTICE in rule.kinds for rule in self.rules())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is wrong besides how runs end, if it was looked at; whether there is work."""

    standing_now: Sequence[Observed] | None
    has_work: bool


def _shown(one: Observed | Alert) -> tuple[AlertKind, str, str | None]:
    return one.kind, one.subject, one.detail if one.kind in COUNTED else None


class _Book:
    """The alerts that are open, and what becomes of them in one transaction."""

    def __init__(self, conn: Connection, now: datetime) -> None:
        self._conn = conn
        self._now = now
        self._open = {(one.kind, one.subject): one for one in alerts.list_open(conn)}
        self._over: list[Alert] = []

    def subjects(self) -> set[str]:
        """Return those of which an end of a run may be over what is wrong."""
        return {subject for kind, subject in self._open if kind in OF_EVENTS}

    def changed_and_open(self) -> list[Alert]:
        """Return what is over since now, and all that is open."""
        return [*self._over, *self._open.values()]

    def note_end(self, run: EndedRun) -> None:
        """Note what the end of a run begins, and what it ends."""
        for seen in (opened_by(run), cadence_lost_by(run)):
            if seen is not None:
                self._note(seen)
        for kind in ended_by(run):
            self._end((kind, run.subject), run.happened_at)

    def note_standing(self, standing_now: Iterable[Observed]) -> None:
        """Note what is wrong, and that all else of these kinds is over."""
        by_key = {(seen.kind, seen.subject): seen for seen in standing_now}
        for key, seen in by_key.items():
            before = self._open.get(key)
            if before is None:
                self._note(seen)
            elif _shown(before) != _shown(seen):
                self._open[key] = replace(before, detail=seen.detail)
                alerts.update_alert(self._conn, self._open[key])
        for key in [key for key in self._open if key[0] not in OF_EVENTS and key not in by_key]:
            self._end(key, self._now)

    def note_gone(self) -> None:
        """Note the end of what nobody can mend any more: its schedule is off, or gone."""
        for alert in alerts.list_gone(self._conn, self._open.values()):
            key = (alert.kind, alert.subject)
            self._open[key] = replace(alert, detail="its schedule or collector is off, or gone")
            self._end(key, self._now)

    def _note(self, seen: Observed) -> None:
        key = (seen.kind, seen.subject)
        before = self._open.get(key)
        if before is None:
            self._open[key] = alerts.insert_alert(self._conn, seen)
        else:
            self._open[key] = alerts.happened_again(before, seen)
            alerts.update_alert(self._conn, self._open[key])

    def _end(self, key: tuple[AlertKind, str], at: datetime) -> None:
        alert = self._open.pop(key, None)
        if alert is not None:
            over = replace(alert, recovered_at=max(at, alert.since))
            alerts.update_alert(self._conn, over)
            self._over.append(over)
