"""Schedules that are held while they are fired: only what was edited since is read again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, select

from scheduler.domain.records import OPEN_STATES, RunState
from scheduler.storage.gathered import gather
from scheduler.storage.json_rows import JsonValues
from scheduler.storage.schedules import AS_TEXT, ScheduleWithRefs, joined, list_named
from scheduler.storage.tables import freezes, in_state, overrides, runs, schedules


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """
    Schedules that are held; *waiting* are those that have runs which wait to be sent.

    What there mostly is none of is only told to be there: each question costs a lone one time.
    """

    wholes: list[ScheduleWithRefs]
    waiting: frozenset[str]
    has_overrides: bool
    has_freezes: bool


def claim(
    conn: Connection,
    names: Sequence[str],
    found: Mapping[str, ScheduleWithRefs] = {},
    *,
    only_same: bool = False,
) -> Claimed:
    """
    Return those of *names* that are enabled, in that order, held until the transaction ends.

    What another daemon holds at this moment is left out: it is being fired there. What was *found*
    before and is still the same is not read again; with *only_same* no other is returned.
    """
    held = {row[0]: row for row in gather(conn, _HELD, _CHOSEN.of(names))}
    same = {
        name: found[name]
        for name, row in held.items()
        if name in found and found[name].as_text == row[1]
    }
    others = [] if only_same else [name for name in held if name not in same]
    whole_of = same | {whole.schedule.name: whole for whole in list_named(conn, others)}
    return Claimed(
        wholes=[whole_of[name] for name in names if name in whole_of],
        waiting=frozenset(name for name, row in held.items() if row[2]),
        has_overrides=any(row[3] for row in held.values()),
        has_freezes=any(row[4] for row in held.values()),
    )


_CHOSEN = JsonValues("chosen", schedules.c.name.type)
_one_waits = exists().where(
    runs.c.schedule == schedules.c.name,
    in_state(runs, *OPEN_STATES),  # as the index says it
    in_state(runs, RunState.QUEUED),
)
_HELD = (
    joined(
        schedules.c.name,
        AS_TEXT,
        _one_waits,
        exists(select(overrides.c.id)),
        exists(select(freezes.c.scope)),
    )
    .where(_CHOSEN.has(schedules.c.name), schedules.c.enabled)
    .with_for_update(skip_locked=True, of=schedules)
)
