"""
A firing is made a moment before its instant, and committed right at it.

What it takes to decide, write and claim is over by then; the commit and the request are left.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from scheduler.clock import Clock

LONGEST_LEAD: Final = timedelta(seconds=0.05)
"""So early a firing begins at most: whoever wants what it locks waits for it."""

_SPARE: Final = 1.5
"""So much longer than one took there is for the next,"""

_FADES: Final = 0.9
"""and for those after it a tenth less each time."""

_NONE: Final = timedelta()


class NotYet(Exception):
    """The clock was set back while a firing waited for its instant: nothing of it is kept."""


@dataclass(slots=True)
class OnTime:
    """
    How long before its instant a firing begins: so long as the last few took, and some more.

    *wait* lets so many seconds pass, in the thread of the transaction. Where time is made up, it
    is *fixed*.
    """

    clock: Clock
    wait: Callable[[float], None] = time.sleep
    fixed: timedelta | None = None
    _lead: timedelta = field(default=_NONE, init=False)

    def begin_at(self, due_at: datetime) -> datetime:
        """Return when the firing that is to be committed at *due_at* begins."""
        return due_at - (self._lead if self.fixed is None else self.fixed)

    def hold(self, due_at: datetime, *, began_at: datetime) -> None:
        """
        Return once *due_at* has come, in a transaction that has nothing left to do but its commit.

        By the clock, which may be set meanwhile: forth, and it has come; back raises NotYet.
        """
        now = self.clock()
        self._lead = min(max(_SPARE * (now - began_at), _FADES * self._lead), LONGEST_LEAD)
        while (left := due_at - now) > _NONE:
            if left > LONGEST_LEAD:
                raise NotYet
            self.wait(left.total_seconds())
            now = self.clock()
