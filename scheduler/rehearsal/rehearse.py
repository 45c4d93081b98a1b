"""A file's schedules, fired and sent for days in seconds, with nothing sent and nothing kept."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from scheduler.actions.apply import apply_definitions
from scheduler.config import Config
from scheduler.domain.budgets import LOADS_UNTIL_KNOWN
from scheduler.domain.weekly import WeeklyStretch
from scheduler.rehearsal.daemon import COUNTING, LOOPS, RehearsedSettings, SimulatedDaemon
from scheduler.rehearsal.report import Rehearsal, Tariff, report
from scheduler.rehearsal.upstream import SimulatedUpstream
from scheduler.rehearsal.virtual_loop import VirtualLoop, pause, run_virtually
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.sandbox.jobs import Fate, JobStatus, Order
from scheduler.storage import limits, migrate, rehearsed, run_events, schedules, usage
from scheduler.storage.budgets import any_budgets
from scheduler.storage.database import Connection, Database
from scheduler.storage.rehearsed import PastCollection
from scheduler.upstream.in_process import in_process
from scheduler.views.rehearsing import Past

ASSUMED: Final = timedelta(minutes=10)
"""So long takes what has no past and of which nobody has said how long it takes."""

_MAX_IDLE: Final = timedelta(minutes=5)
_POLLS_EVERY: Final = timedelta(seconds=20)
"""Ends are seen so much later at most: most of a rehearsal's time goes into asking for them."""

_ALIKE: Final = 10
"""So many past collections, of about as many inputs, are drawn from."""

_BY: Final = "rehearsal"

_TOLD_EVERY: Final = timedelta(hours=1)

Told = Callable[[timedelta], None]
"""Is told, now and then, how much is rehearsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalPlan:
    """
    What is rehearsed: *days* from *start* on.

    *lengths* says how long collectors' collections take, by their names in the file; *length*,
    how long those that it does not name do. *fail*, *lose* and *throttle* are shares: of the
    collections that fail, of the accepted triggers whose answer is lost, and of the triggers that
    are answered with 429.
    """

    start: datetime
    days: float
    outages: Sequence[WeeklyStretch] = ()
    upstream_outages: Sequence[WeeklyStretch] = ()
    fail: float = 0.0
    lose: float = 0.0
    throttle: float = 0.0
    length: timedelta | None = None
    lengths: Mapping[str, timedelta] = field(default_factory=dict)
    seed: int = 0
    max_idle: timedelta = _MAX_IDLE
    polls_every: timedelta = _POLLS_EVERY

    @property
    def end(self) -> datetime:
        """When it is over."""
        return self.start + timedelta(days=self.days)


def rehearse(
    config: Config,
    environ: Mapping[str, str],
    plan: RehearsalPlan,
    past: Past,
    told: Told = lambda done: None,
) -> Rehearsal:
    """
    Fire and send what *config* says, and return what came of it; *told* hears how far it is.

    The same plan, file and past come to the same. All of it happens in a database that is gone
    afterwards. Schedules that are paused stay so.
    """
    with TemporaryDirectory(prefix="dca-rehearsal-") as folder:
        url = f"sqlite:///{Path(folder) / 'rehearsal.db'}"
        with Database(url, checkpoints=True, by=_BY, durable=False) as db:
            with db.writing(at_leisure=True) as conn:
                migrate.upgrade(conn)
                _prepare(conn, config, past, plan.start)
                has_limits = limits.any_limits(conn) or any_budgets(conn)
            settings = RehearsedSettings(_asking_less(config, plan.polls_every), environ)
            fates = _Fates(config=config, plan=plan, past=past)
            loops = COUNTING if has_limits else LOOPS
            drive = partial(_drive, db, settings, plan, fates, loops, told)
            run_virtually(drive, start=plan.start)
            with db.reading() as conn:
                runs = rehearsed.list_rehearsed(conn)
                invalid = rehearsed.list_invalid(conn)
    notes = tuple(_notes(config, past, fates, invalid))
    tariff = Tariff(config, past.loads_per_input)
    return report(runs, config, tariff, plan.start, plan.end, seed=plan.seed, notes=notes)


def _asking_less(config: Config, least: timedelta) -> Config:
    first = max(config.follow.poll_initial, least)
    follow = config.follow.model_copy(
        update={"poll_initial": first, "poll_max": max(config.follow.poll_max, first)}
    )
    return config.model_copy(update={"follow": follow})


def _prepare(conn: Connection, config: Config, past: Past, now: datetime) -> None:
    apply_definitions(conn, config, by=_BY, now=now)
    reason = "it is paused in the database"
    schedules.set_paused(conn, past.paused, by=_BY, reason=reason, now=now, until=None)
    rehearsed.add_usage(conn, past.usage)
    run_events.start_consumer(conn, usage.COUNTER)


async def _drive(
    db: Database,
    settings: RehearsedSettings,
    plan: RehearsalPlan,
    fates: "_Fates",
    loops: Sequence[str],
    told: Told,
    loop: VirtualLoop,
) -> None:
    """Let the daemon run until the end, but for its outages."""
    upstream = SimulatedUpstream(
        clock=loop.now,
        settings=SandboxSettings(faults=_faults(plan)),
        fate_of=fates.of,
        is_away=lambda now: _is_in(plan.upstream_outages, now),
    )
    settings.wire = lambda _: in_process(upstream.connect, upstream.carry)
    daemon: SimulatedDaemon | None = None
    starts = 0
    while loop.now() < plan.end:
        is_out = _is_in(plan.outages, loop.now())
        if is_out and daemon is not None:
            await daemon.stop(settings.config.daemon.shutdown_grace)
            daemon = None
        elif not is_out and daemon is None:
            starts += 1
            daemon = SimulatedDaemon(
                db=db,
                settings=settings,
                clock=loop.now,
                owner=f"rehearsed-{starts}",
                max_idle=plan.max_idle,
                polls_every=plan.polls_every,
                loops=loops,
            )
            await daemon.start()
        edges = (stretch.next_edge(loop.now()) for stretch in plan.outages)
        until = min([plan.end, loop.now() + _TOLD_EVERY, *edges])
        await pause((until - loop.now()).total_seconds())
        told(loop.now() - plan.start)
    if daemon is not None:
        await daemon.stop(settings.config.daemon.shutdown_grace)


def _faults(plan: RehearsalPlan) -> tuple[Fault, ...]:
    shares = (
        (FaultKind.THROTTLE, When.BEFORE, plan.throttle),
        (FaultKind.LOST, When.AFTER, plan.lose),
    )
    return tuple(
        Fault(kind=kind, times=None, probability=share, seed=plan.seed, when=when)
        for kind, when, share in shares
        if share
    )


def _is_in(stretches: Iterable[WeeklyStretch], now: datetime) -> bool:
    return any(stretch.holds(now) for stretch in stretches)


@dataclass(slots=True, kw_only=True)
class _Fates:
    """How long each order takes, and how it ends: as it was said, or as others did before."""

    config: Config
    plan: RehearsalPlan
    past: Past
    assumed: set[str] = field(default_factory=set)
    _said: dict[str, timedelta] = field(init=False)
    _past: dict[str, list[PastCollection]] = field(init=False)
    _loads: dict[str, float] = field(init=False)
    _chance: Random = field(init=False)

    def __post_init__(self) -> None:
        collectors = self.config.collectors
        self._said = {collectors[name].id: length for name, length in self.plan.lengths.items()}
        self._past = {
            collector_id: sorted(found, key=lambda one: one.inputs)
            for collector_id, found in self.past.collections.items()
        }
        self._loads = {
            collector.id: self.past.loads_per_input.of(
                schedule=None, collector=name, account=collector.account
            )
            for name, collector in collectors.items()
        }
        self._chance = Random(self.plan.seed)  # noqa: S311 - repeatable on purpose

    def of(self, order: Order) -> Fate:
        """Return what becomes of *order*."""
        fails = self._chance.random() < self.plan.fail
        return Fate(
            build_time=self._length(order),
            ends_as=JobStatus.FAILED if fails else JobStatus.DONE,
            loads_per_input=self._loads.get(order.collector, LOADS_UNTIL_KNOWN),
        )

    def _length(self, order: Order) -> timedelta:
        said = self._said.get(order.collector, self.plan.length)
        if said is not None:
            return said
        past = self._past.get(order.collector)
        if not past:
            self.assumed.add(order.collector)
            return ASSUMED
        middle = bisect_left(past, len(order.inputs), key=lambda one: one.inputs)
        first = max(0, min(middle - _ALIKE // 2, len(past) - _ALIKE))
        return timedelta(seconds=self._chance.choice(past[first : first + _ALIKE]).seconds)


def _notes(config: Config, past: Past, fates: _Fates, invalid: Mapping[str, str]) -> Iterable[str]:
    """Say what a reader has to know of how this was made."""
    names = {collector.id: name for name, collector in config.collectors.items()}
    if fates.assumed:
        told = ", ".join(sorted(names.get(one, one) for one in fates.assumed))
        yield f"no collection has ended yet, and no --duration was said: 10m assumed for {told}"
    yield from (f"schedules.{name}: {error}" for name, error in invalid.items())
    if elsewhere := sorted(set(past.schedules) - set(config.schedules)):
        yield f"in the database and not in this file, so left out: {', '.join(elsewhere)}"
    if paused := sorted(set(past.paused) & set(config.schedules)):
        yield f"paused, so nothing fires of: {', '.join(paused)}"
    if past.open_runs:
        yield f"{past.open_runs} runs are open now, and have no part in it"
