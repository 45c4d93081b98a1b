"""How a state is shown: a word, a mark and a class of the style sheet, never a colour alone."""

from collections.abc import Mapping
from typing import Final

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
}
"""The mark of each state of a run, and of what else is shown like one."""


def mark_of(state: str) -> str:
    """Return the mark of a state; a dot for one that has none."""
    return MARKS.get(state, "·")


def word_of(state: str) -> str:
    """Return a state as people read it: `needs attention`."""
    return state.replace("_", " ")


def class_of(state: str) -> str:
    """Return the class that colours it, in HTML as in SVG: `s-needs-attention`."""
    return f"s-{state.replace('_', '-')}"
