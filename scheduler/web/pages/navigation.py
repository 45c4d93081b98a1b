"""What the head of every page links to."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the head: `g` and its *key* lead there."""

    path: str
    word: str
    key: str


NAVIGATION: Final = (
    Link("/overview", "Overview", "o"),
    Link("/alerts", "Alerts", "a"),
    Link("/upcoming", "Upcoming", "u"),
    Link("/runs", "Runs", "r"),
    Link("/schedules", "Schedules", "s"),
    Link("/queues", "Queues", "q"),
    Link("/batches", "Batches", "b"),
    Link("/failures", "Failures", "f"),
    Link("/results", "Results", "e"),
    Link("/costs", "Costs", "m"),
    Link("/changes", "Changes", "c"),
    Link("/configuration", "Configuration", "d"),
    Link("/system", "System", "y"),
)
"""In the order in which they are shown; a page that is not there is left out."""


def is_below(path: str, link: Link) -> bool:
    """Tell whether the page at *path* is that of the link, or one below it."""
    if path == "/notices":
        return link.path == "/alerts"
    return path == link.path or path.startswith(f"{link.path}/")
