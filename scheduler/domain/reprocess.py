"""Which runs a backfill sends once more."""

from enum import StrEnum


class Reprocess(StrEnum):
    """Which occurrences that have a run already are sent once more."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"  # every one that has ended
