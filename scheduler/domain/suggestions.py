"""What a misspelt word may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

MOST_NAMES: Final = 2000
"""More names than these take too long to compare."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the nearest of *known*, or nothing."""
    return _did_you_mean(word, tuple(known))


@lru_cache(maxsize=256)
def _did_you_mean(word: str, known: tuple[str, ...]) -> str:
    if len(known) > MOST_NAMES:
        return ""
    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[close[0]]}?" if close else ""
