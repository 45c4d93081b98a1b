"""How much later than its slot an occurrence starts: the same answer each time it is asked."""

import hashlib
from datetime import datetime, timedelta

_ZERO = timedelta(0)


def delay(
    name: str,
    slot: datetime,
    next_slot: datetime | None,
    jitter: timedelta | None,
    spread: timedelta | None,
) -> timedelta:
    """
    Return how long after *slot* schedule *name* starts, in whole milliseconds; before *next_slot*.

    *spread* gives a schedule one fixed place in that stretch, so that many schedules
    of one slot start apart; *jitter* adds a different amount at each slot. Both are
    hashes, nothing is drawn: a restart or another node comes to the same time.
    """
    room = timedelta.max if next_slot is None else next_slot - slot
    placed = _share(min(spread or _ZERO, room), name)
    jittered = _share(min(jitter or _ZERO, room - placed), f"{name}\0{slot.timestamp():.6f}")
    return placed + jittered


def _share(length: timedelta, key: str) -> timedelta:
    digest = hashlib.sha256(key.encode()).digest()
    fraction = int.from_bytes(digest[:4]) / 2**32
    return timedelta(milliseconds=int(length / timedelta(milliseconds=1) * fraction))
