"""Limits as asyncio.timeout sets them, with one timer for all: most end long before theirs."""

import asyncio
from math import inf
from types import TracebackType
from typing import Any, cast


class TimeLimits:
    """The limits of what is under way; its timer is never later than the first of them."""

    def __init__(self) -> None:
        self._running: dict[TimeLimit, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def tasks(self) -> set[asyncio.Task[Any]]:
        """Return whose limits they are."""
        return {limit.task for limit in self._running}

    def close(self) -> None:
        """Wait for nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def add(self, limit: "TimeLimit") -> None:
        """Watch over *limit*."""
        self._running[limit] = None
        if self._timer is None or limit.ends_at < self._timer.when():
            self.close()
            self._wait(limit)

    def remove(self, limit: "TimeLimit") -> None:
        """Forget *limit*."""
        self._running.pop(limit, None)

    def _wait(self, first: "TimeLimit") -> None:
        self._timer = first.loop.call_at(first.ends_at, self._end, first)

    def _end(self, first: "TimeLimit") -> None:
        moment = max(first.ends_at, first.loop.time())
        for limit in self._running:
            if limit.ends_at <= moment:
                limit.end()
        self._timer = None
        following = min(self._running, key=lambda limit: limit.ends_at, default=None)
        if following is not None and following.ends_at < inf:
            self._wait(following)


class TimeLimit:
    """A block that is cancelled after *seconds*, and then raises TimeoutError."""

    __slots__ = ("_cancelling", "_is_over", "_limits", "_seconds", "ends_at", "loop", "task")

    def __init__(self, limits: TimeLimits, seconds: float) -> None:
        self._limits = limits
        self._seconds = seconds
        self._is_over = False

    def __enter__(self) -> None:
        self.task = task = cast(asyncio.Task[Any], asyncio.current_task())
        self.loop = task.get_loop()
        self.ends_at = self.loop.time() + self._seconds
        self._cancelling = task.cancelling()
        self._limits.add(self)

    def end(self) -> None:
        """Cancel its task, once."""
        self._is_over, self.ends_at = True, inf
        self.task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._limits.remove(self)
        if self._is_over:
            # Whoever else cancelled the task has it cancelled all the same.
            is_ours = self.task.uncancel() <= self._cancelling
            if is_ours and kind is asyncio.CancelledError:
                raise TimeoutError
