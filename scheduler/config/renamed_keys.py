"""Keys that were called otherwise before 0.2.0: whoever writes one is told the new name."""

from typing import Final

_RENAMED: Final = {
    "first_pause": "backoff_initial",
    "longest_pause": "backoff_max",
    "look_after": "lookup_after",
    "max_unsettled": "max_unresolved",
}
_RENAMED_IN_FOLLOW: Final = {"first_pause": "poll_initial", "longest_pause": "poll_max"}


def renamed_key(table: str, key: str) -> str | None:
    """Return what *key* of *table* is called now; None if it never was a key."""
    return (_RENAMED_IN_FOLLOW if table == "follow" else _RENAMED).get(key)
