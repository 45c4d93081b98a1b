"""How late the event loop comes to what is due: what hangs in it, or a processor that is full."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

_EVERY: Final = 1.0
_MINUTES: Final = 60


@dataclass(slots=True)
class LoopLag:
    """
    Looks once a second, and keeps the worst in seconds until it is taken.

    *by_minute* is the worst of what was taken in each minute of the last hour, the newest last.
    """

    by_minute: deque[float] = field(default_factory=lambda: deque(maxlen=_MINUTES))
    _minute: int = -1
    _worst: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, in the loop that runs."""
        self._wait(asyncio.get_running_loop())

    def take(self) -> float:
        """Return the worst since the last call."""
        worst, self._worst = self._worst, 0.0
        minute = int(monotonic() // 60)
        if minute != self._minute:
            self.by_minute.append(0.0)
        self._minute, self.by_minute[-1] = minute, max(self.by_minute[-1], round(worst, 4))
        return worst

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _EVERY
        self._timer = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._worst = max(self._worst, loop.time() - due)
        self._wait(loop)
