"""How each state looks, in HTML as in SVG: a word, a mark, and a class that has its colour."""

from collections.abc import Iterable, Mapping
from math import cos, sin, tau
from typing import Final

from scheduler.domain.records import RunState
from scheduler.web.pictures.frame import Key, key
from scheduler.web.pictures.svg import Svg, join, number, rect, tag

WORST_FIRST: Final = (
    RunState.NEEDS_ATTENTION,
    RunState.FAILED,
    RunState.UNCONFIRMED,
    RunState.PARTIAL,
    RunState.CANCELLED,
    RunState.SKIPPED,
    RunState.COLLECTING,
    RunState.DISPATCHING,
    RunState.QUEUED,
    RunState.SUCCEEDED,
)
"""What is shown of several that share a place."""

MARKS: Final[Mapping[str, str]] = {
    "queued": "○",
    "dispatching": "◔",
    "unconfirmed": "?",
    "needs_attention": "!",
    "collecting": "◐",
    "succeeded": "✓",
    "partial": "◒",
    "failed": "✕",
    "cancelled": "⊘",
    "skipped": "–",
    "planned": "◌",
    "late": "◷",
    "paused": "‖",
    "well": "✓",
    "wrong": "✕",
    "waiting": "○",
    "pending": "◔",
    "delivered": "✓",
    "given_up": "✕",
    "saved": "✓",
    "dismissed": "⊘",
    "removed": "–",
}
"""The mark of each state of a run in text, and of what else is shown like one."""

_Stroke = tuple[tuple[float, float], ...]

_CIRCLE: Final[_Stroke] = tuple(
    (round(0.9 * cos(turn * tau / 12), 2), round(0.9 * sin(turn * tau / 12), 2))
    for turn in range(13)
)

_DRAWN: Final[Mapping[RunState, tuple[_Stroke, ...]]] = {
    RunState.QUEUED: (_CIRCLE,),
    RunState.DISPATCHING: (_CIRCLE, ((0, -0.9), (0, 0), (0.9, 0))),
    RunState.UNCONFIRMED: (
        ((-0.5, -0.5), (-0.2, -0.9), (0.3, -0.9), (0.5, -0.5), (0, 0), (0, 0.3)),
        ((0, 0.9), (0, 0.95)),
    ),
    RunState.NEEDS_ATTENTION: (((0, -0.9), (0, 0.2)), ((0, 0.85), (0, 0.9))),
    RunState.COLLECTING: (_CIRCLE, ((0, -0.9), (0, 0.9))),
    RunState.SUCCEEDED: (((-0.8, 0.1), (-0.2, 0.7), (0.8, -0.6)),),
    RunState.PARTIAL: (_CIRCLE, ((-0.9, 0), (0.9, 0))),
    RunState.FAILED: (((-0.7, -0.7), (0.7, 0.7)), ((0.7, -0.7), (-0.7, 0.7))),
    RunState.CANCELLED: (_CIRCLE, ((-0.6, 0.6), (0.6, -0.6))),
    RunState.SKIPPED: (((-0.8, 0), (0.8, 0)),),
}
"""The same in a picture: strokes, from -1 to 1 in both directions."""


def mark_of(state: str) -> str:
    """Return the mark of a state in text; a dot for one that has none."""
    return MARKS.get(state, "·")


def word_of(state: str) -> str:
    """Return a state as people read it: `needs attention`."""
    return state.replace("_", " ")


def class_of(state: str) -> str:
    """Return the class that colours it: `s-needs-attention`."""
    return f"s-{state.replace('_', '-')}"


def worst_of(states: Iterable[RunState]) -> RunState:
    """Return which of several is shown."""
    return min(states, key=WORST_FIRST.index)


def mark(state: RunState, x: float, y: float, size: float) -> Svg:
    """Return the state's mark around a point; *size* is half of its width."""
    strokes = (
        "M" + "L".join(f"{number(x + dx * size)} {number(y + dy * size)}" for dx, dy in stroke)
        for stroke in _DRAWN[state]
    )
    return tag("path", d="".join(strokes), class_="mark")


def state_keys(states: Iterable[RunState]) -> tuple[Key, ...]:
    """Return the legend of those of the states that are there, the good end first."""
    present = set(states)
    return tuple(
        key(
            join(rect(0, 0, 16, 12, class_=class_of(state)), mark(state, 8, 6, 4)),
            word_of(state),
        )
        for state in reversed(WORST_FIRST)
        if state in present
    )


def planned_key() -> Key:
    """Return the legend of what is still to come."""
    return key(rect(1, 1, 14, 10, class_="planned"), "planned")
