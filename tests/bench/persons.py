"""
How many runs end with a person, by the rate of lost answers: the price list of docs/promise.md.

Run it with `python -m tests.bench.persons`. Pure domain with the defaults: of what is lost, half
was accepted; questions are lost at the same rate; datasets are not ready.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Final

from scheduler.domain.answers import ListedJob
from scheduler.domain.matching import MISDATED, ListHabits, LostTrigger, candidates, conclude
from scheduler.domain.records import Run, RunState
from scheduler.domain.transition import Absent, Backoff, Finding, Unreadable, after_lookup
from tests.make import NINE, make_job, make_run, seconds

LOOKS: Final = tuple(map(seconds, (5, 30, 120, 600)))
BACKOFF: Final = Backoff(first=seconds(30), most=seconds(900))
COUNTED: Final = ListHabits(shows_counts=True, dated_early=timedelta())
LOST: Final = 3_000
"""So many runs whose first answer is lost are tried; the others need nobody."""
RATES: Final = (0.001, 0.01, 0.05, 0.2)
SETTINGS: Final = {
    "a collector of its own": (0.0, COUNTED),
    "strangers' jobs, 1 an hour": (1.0, COUNTED),
    "the same, before any job of ours is listed": (1.0, ListHabits()),
}


def main() -> None:
    """Print the table."""
    for rate in RATES:
        for name, (an_hour, habits) in SETTINGS.items():
            chance = Random(4711)  # noqa: S311 - repeatable on purpose
            ends = Counter(_end(chance, rate, an_hour, habits) for _ in range(LOST))
            share = {state: rate * ends[state] / LOST for state in ends}
            print(f"{rate:.1%} lost, {name}:", {k.value: f"{v:.4%}" for k, v in share.items()})  # noqa: T201


def _end(chance: Random, rate: float, an_hour: float, habits: ListHabits) -> RunState:
    run = make_run(attempt_count=1, max_attempts=5, state=RunState.UNCONFIRMED)
    is_lost = True
    while is_lost:
        was_accepted = chance.random() < 0.5
        strangers = list(_strangers(chance, an_hour))
        state = _looked_for(chance, rate, run, [*strangers, *_ours(was_accepted)], habits)
        if state is not RunState.QUEUED:
            return state
        assert not was_accepted, "it would be billed twice"
        run = make_run(
            attempt_count=run.attempt_count + 1, max_attempts=5, state=RunState.UNCONFIRMED
        )
        is_lost = chance.random() < rate
    return RunState.COLLECTING


def _ours(was_accepted: bool) -> list[ListedJob]:
    return [make_job(id="j_ours", inputs=100, queued_at=NINE)] if was_accepted else []


def _strangers(chance: Random, an_hour: float) -> Iterator[ListedJob]:
    at = -MISDATED
    while an_hour and (at := at + timedelta(hours=chance.expovariate(an_hour))) < LOOKS[-1]:
        # One in five has as many inputs as we sent.
        count = 100 if chance.random() < 0.2 else 7
        yield make_job(id=f"j_{at}", inputs=count, queued_at=NINE + at, finished_at=NINE + at)


def _looked_for(
    chance: Random, rate: float, run: Run, jobs: list[ListedJob], habits: ListHabits
) -> RunState:
    lost = LostTrigger(sent_at=NINE, not_before=NINE, inputs=frozenset({100}), name=None)
    for number, delay in enumerate(LOOKS):
        listed = [job for job in jobs if (job.queued_at or NINE) <= NINE + delay]
        finding: Finding = Unreadable("lost")
        if chance.random() >= rate:
            fitting = candidates(lost, listed, owned=(), habits=habits)
            finding = conclude(fitting, is_last_look=number + 1 == len(LOOKS))
        assert jobs[-1:] != _ours(True) or not isinstance(finding, Absent)
        change = after_lookup(
            finding,
            make_run(attempt_count=run.attempt_count, max_attempts=5, lookups=number),
            now=NINE,
            lookup_after=LOOKS,
            backoff=BACKOFF,
            chance=0.5,
        )
        if change.state is not RunState.UNCONFIRMED:
            return change.state
    return RunState.NEEDS_ATTENTION


if __name__ == "__main__":
    main()
