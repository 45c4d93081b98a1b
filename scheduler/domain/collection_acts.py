"""What a person may ask the upstream to do with a collection, and which of them each is for."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

KEPT_UPSTREAM: Final = timedelta(days=16)
"""So long the upstream keeps a collection, and runs it again (DCA, 1)."""


class CollectionAct(StrEnum):
    """What the upstream can be asked; to cancel one is an act on its run."""

    PAUSE = "pause"
    RESUME = "resume"
    RERUN = "rerun"


class RequestOutcome(StrEnum):
    """What came of asking."""

    DONE = "done"
    REFUSED = "refused"
    LOST = "lost"  # it may have been done: no answer was read
