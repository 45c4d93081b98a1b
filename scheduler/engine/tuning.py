"""
The figures by which the engine is tuned, each with its reason; none is a promise.

What the upstream's rules and the promise ask for is not here but in the domain (brake, verdict).
"""

from datetime import timedelta
from typing import Final

# Dispatch

PREFETCH: Final = 2
"""So many claims may wait for the wire for each answer that one pass brings."""

PREFETCH_FADES: Final = 0.8
"""After a busy pass the next are expected to bring as much, less a fifth each time."""

LONGEST_PREFETCH: Final = 1.0
"""In seconds, a claim may wait: what is paused or cancelled meanwhile is not noticed."""

MOST_CLAIMED: Final = 256
"""Of one account by one daemon, those on the wire included: after a crash each is looked for."""

CLAIMED_WITH_FIRING: Final = 8
"""So many due schedules are fired and claimed in one transaction: more would lock them for long."""

RECORD_TOGETHER: Final = 0.05
"""In seconds, an answer may wait for others, to be recorded together with them."""

HASTEN_EVERY: Final = 1.0
"""In seconds: there may be thousands of collectors that are full."""

# Who goes first, triggers or questions

QUESTIONS_AT_ONCE: Final = 4
"""Of an account's requests in flight, so many at most ask about what runs."""

SHARED_FROM: Final = 4.0
"""At fewer requests a second there is nothing to share: who comes first is served."""

TURN: Final = 4
"""In seconds: so long questions go first and then triggers, by turns, while polls are late."""

# Follow and reconcile

LEASE_MARGIN: Final = timedelta(seconds=30)
"""The lease of a poll is longer than all its requests by so much."""

MOST_FOLLOWED: Final = 1000
"""So many collections are looked through at once for those that one page of jobs tells of."""

MOST_PAGES: Final = 5
"""Of a collector's jobs at once, the newest 2,500: the log is asked of what is not there."""

NO_LIST_FOR: Final = timedelta(minutes=10)
"""Where jobs are not listed, refused or twice in a row unread, each log is asked for so long."""

ERRORS_AT_ONCE: Final = 2
"""Of one account: which inputs failed is no hurry."""

LARGEST_DATASET: Final = 100_000
"""In rows: a larger one is not read for the inputs that it lacks."""

LOOKUPS_AT_ONCE: Final = 4
"""Of one account: each lists days of jobs."""

MOST_COMPARED: Final = 3
"""Of several jobs that may be the lost one, so many datasets are read."""

MOST_LEARNED: Final = 20
"""So many of our newest jobs tell how the list shows what we send."""

SAVED_AT_ONCE: Final = 2
"""Results by one daemon: they share its processor with triggers, and stand beside max_in_flight."""

REMOVED_AT_ONCE: Final = 20
"""Files whose time is over: each is read before it goes."""

# Events

EVENTS_AT_ONCE: Final = 1000
"""So many are taken in a transaction: it holds up nobody."""

EVENTS_EVERY: Final = timedelta(seconds=0.25)
"""However busy it is: what is read together costs one commit."""

COUNTED_EVERY: Final = timedelta(seconds=5)
"""What metrics count is read so seldom: a scrape comes every 15 s or so."""

# Alerts and notices

LOOKED_EVERY: Final = timedelta(seconds=5)
"""Ends of runs are noted so often: nobody is told sooner than a message is grouped."""

STANDING_EVERY: Final = timedelta(seconds=15)
"""What else is wrong is looked at so often: with many open runs it costs a few milliseconds."""

DELIVERED_AT_ONCE: Final = 4
"""Of one channel: a receiver that hangs holds up this many of its messages, and no other's."""
