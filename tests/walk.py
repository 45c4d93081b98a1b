"""The way of a run to any state, by moves that the diagram knows: rows of tests go it, too."""

from collections.abc import Mapping
from typing import Any

from scheduler.domain.moves import MOVES
from scheduler.domain.records import ENDED_STATES, RunState

_ONLY_OF_COLLECTIONS = (RunState.SUCCEEDED, RunState.PARTIAL)


def way(start: RunState | None, end: RunState) -> list[RunState]:
    """Return the states on the shortest way from *start* to *end*, *end* included."""
    ways: list[list[RunState]] = [[to] for origin, to in MOVES if origin is start]
    for steps in ways:  # it grows meanwhile
        if steps[-1] is end:
            return steps
        if steps[-1] is RunState.COLLECTING and end not in _ONLY_OF_COLLECTIONS:
            continue  # with a collection it would be another run
        ways += [[*steps, to] for origin, to in MOVES if origin is steps[-1] and to not in steps]
    raise AssertionError(f"no way leads from {start} to {end}")


def stations(
    start: RunState | None, columns: Mapping[str, Any], *, moment: object
) -> list[dict[str, Any]]:
    """
    Return the *columns* of a run at each state on its way; the last are as they were given.

    Where a state needs a time, that is *moment*.
    """
    *before, _ = way(start, RunState(columns["state"]))
    return [
        *({**columns, **_needs(state, columns, moment)} for state in before),
        {"lease_owner": None, "lease_until": None, "next_lookup_at": None, **columns},
    ]


def _needs(state: RunState, columns: Mapping[str, Any], moment: object) -> dict[str, Any]:
    is_sent, is_lost = state is RunState.DISPATCHING, state is RunState.UNCONFIRMED
    needs = {
        "state": state.value,
        "ended_at": moment if state in ENDED_STATES else None,
        "lease_owner": "d1" if is_sent else None,
        "lease_until": moment if is_sent else None,
        "next_lookup_at": moment if is_lost else None,
    }
    if state is RunState.COLLECTING and columns.get("collection_id") is None:
        needs["collection_id"] = "j_on_its_way"
    return needs
