"""The one shape of a list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")
Key = int | str

MOST_COUNTED: Final = 10_000
"""No list is counted further, whatever it holds."""


LOOKED_THROUGH: Final = 20_000
"""So many rows a surface looks through before it answers, however few it has found."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many a list holds; where the counting stopped before its end it *is_capped*."""

    count: int
    is_capped: bool

    @classmethod
    def of(cls, found: int, *, is_all: bool = True) -> "Counted":
        """Return what was counted up to one more than MOST_COUNTED, among all or the newest."""
        return cls(min(found, MOST_COUNTED), found > MOST_COUNTED or not is_all)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some of a list; *next* is after which id or name it goes on, None at its end."""

    items: Sequence[Item]
    next: Key | None = None


def page_of(
    items: Sequence[Item], *, limit: int, key: Callable[[Item], Key] | None = None
) -> Page[Item]:
    """
    Return the first *limit* of *items*, of which one more was read to know whether it is all.

    It goes on after the *key* of its last one, which is its id unless said.
    """
    shown = items[:limit]
    read = key or _id_of
    return Page(items=shown, next=read(shown[-1]) if len(items) > limit else None)


def bounded(page: Page[Item], bound: int | None) -> Page[Item]:
    """Return a page of what was looked through down to *bound*: there it goes on, in any case."""
    return page if page.next is not None else replace(page, next=bound)


def cut(
    items: Sequence[Item], *, limit: int, after: Key | None, key: Callable[[Item], Any]
) -> Page[Item]:
    """Return a page of a list that was read whole, and is in the order of its keys."""
    following = [item for item in items if after is None or key(item) > after]
    return page_of(following[: limit + 1], limit=limit, key=key)


def by_name(item: Any) -> str:
    """Return the key of a list by name."""
    name: str = item.name
    return name


def _id_of(item: Any) -> int:
    number: int = item.id
    return number
