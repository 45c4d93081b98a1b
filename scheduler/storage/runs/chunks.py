"""Runs that are chunks of one occurrence: together they end once, and with one state."""

from collections.abc import Callable

from sqlalchemy import ColumnElement, FromClause, and_, case, exists, or_

from scheduler.domain.records import OPEN_STATES, RunState
from scheduler.storage.tables import in_state, runs


def is_last_of_chunks() -> ColumnElement[bool]:
    """Tell whether with the end of a run all chunks of its occurrence have ended."""
    return ~_another_chunk(_is_open_or_ended_later)


def state_of_all_chunks() -> ColumnElement[str]:
    """Return the state of a run; one that succeeded is partial if another chunk did not."""
    succeeded = in_state(runs, RunState.SUCCEEDED)
    lacks = _another_chunk(lambda other: ~in_state(other, RunState.SUCCEEDED))
    return case((and_(succeeded, lacks), RunState.PARTIAL.value), else_=runs.c.state)


def _another_chunk(condition: Callable[[FromClause], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Tell whether *condition* holds for another part of the occurrence that a run belongs to."""
    other = runs.alias("other_chunk")
    return and_(
        runs.c.chunks > 1,
        runs.c.retry_of.is_(None),
        exists().where(
            other.c.schedule == runs.c.schedule,
            other.c.due_at == runs.c.due_at,
            other.c.retry_of.is_(None),
            other.c.id != runs.c.id,
            condition(other),
        ),
    )


def _is_open_or_ended_later(other: FromClause) -> ColumnElement[bool]:
    ended_later = or_(
        other.c.ended_at > runs.c.ended_at,
        and_(other.c.ended_at == runs.c.ended_at, other.c.id > runs.c.id),
    )
    return or_(in_state(other, *OPEN_STATES), and_(other.c.collection_id.is_not(None), ended_later))
