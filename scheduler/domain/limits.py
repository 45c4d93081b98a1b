"""
How much a schedule, a collector or an account may send: what stops a slip on its first day.

A day is one of UTC, as the upstream bills by. What counts is what was accepted on it, and what may
yet turn out to have been.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from scheduler.domain.definition import duration_of
from scheduler.domain.durations import format_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.timestamps import display_time


class ScopeKind(StrEnum):
    """Whose runs a limit counts."""

    SCHEDULE = "schedule"
    COLLECTOR = "collector"
    ACCOUNT = "account"
    LABEL = "label"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose runs are counted together; of an account's *kind* *name* may be any but an account."""

    kind: ScopeKind
    name: str

    def __str__(self) -> str:
        return self.kind if self.kind is ScopeKind.ALL else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLimits:
    """What a row allows; None is no limit."""

    scope: Scope
    max_runs_per_day: int | None
    max_inputs_per_day: int | None
    min_interval: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What was sent of a scope on a day, and when the newest of all its runs was meant."""

    runs: int = 0
    inputs: int = 0
    last_meant_at: datetime | None = None

    def plus(self, wanted: "Wanted") -> "Used":
        """Return the same with one more run."""
        met = [at for at in (self.last_meant_at, wanted.meant_at) if at is not None]
        runs = self.runs + wanted.is_first
        return replace(self, runs=runs, inputs=self.inputs + wanted.inputs, last_meant_at=max(met))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    A run that is to be sent.

    Of an occurrence in chunks the first stands for all: *inputs_ahead* are those of the others.
    """

    inputs: int
    meant_at: datetime
    is_first: bool = True
    inputs_ahead: int = 0


def day_of(moment: datetime) -> str:
    """Return the day of UTC that a moment is on: `2026-03-02`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def what_is_over(limits: DailyLimits, used: Used, wanted: Wanted, *, now: datetime) -> str | None:
    """Say beyond which limit *wanted* would be; None if it may be sent."""
    return next(_over(limits, used, wanted, now), None)


def _over(limits: DailyLimits, used: Used, wanted: Wanted, now: datetime) -> Iterator[str]:
    day = f"on {day_of(now)} (UTC)"
    most = limits.max_runs_per_day
    if most is not None and wanted.is_first and used.runs >= most:
        yield f"{limits.scope} has sent {used.runs} runs {day}, its max_runs_per_day is {most}"
    most, inputs = limits.max_inputs_per_day, wanted.inputs + wanted.inputs_ahead
    if most is not None and used.inputs + inputs > most:
        yield (
            f"{limits.scope} has sent {used.inputs} inputs {day}, this would send {inputs}, its"
            f" max_inputs_per_day is {most}"
        )
    if limits.min_interval is not None and wanted.is_first and used.last_meant_at is not None:
        yield from _too_soon(limits, used.last_meant_at, wanted.meant_at)


def _too_soon(limits: DailyLimits, last: datetime, meant_at: datetime) -> Iterator[str]:
    try:
        interval = duration_of("min_interval", limits.min_interval) or timedelta()
    except InvalidInput as error:
        yield f"{limits.scope}: {error}"  # what cannot be read does not let everything pass
        return
    if abs(meant_at - last) < interval:
        apart = format_duration(timedelta(seconds=round(abs(meant_at - last).total_seconds())))
        yield (
            f"{limits.scope} had a run for {display_time(last)}, {apart} from this one, its"
            f" min_interval is {limits.min_interval}"
        )
