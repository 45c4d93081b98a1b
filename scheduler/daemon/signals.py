"""Wishes to stop: the first is carried out in order, a second, or too long an end, at once."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType

import structlog

from scheduler.log_lines import Lines

log = structlog.get_logger()

# timeout(1) and some terminals send the same signal twice: that is one wish to stop.
_ONE_SIGNAL_SECONDS = 0.5

_STOPPED_TOO_LATE = 1


@dataclass(slots=True, kw_only=True)
class StopSignals:
    """
    Hears SIGTERM and SIGINT in handlers of the process: they work while the loop hangs.

    *begin* is called in the loop at the first; *last_words* before the process ends otherwise than
    in order, to write what would be lost to the log. An orderly end may take *leaving* longer than
    the *grace* for what is in flight.
    """

    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Event
    grace: timedelta = timedelta(seconds=30)
    leaving: timedelta = timedelta(seconds=10)
    begin: Callable[[], None] = lambda: None
    last_words: Callable[[], None] = lambda: None
    lines: Lines | None = None
    _asked_at: float | None = field(default=None)

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Hear them within the block."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(number, self._hear) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self.loop.call_soon_threadsafe(self._stop, number)
            limit = (self.grace + self.leaving).total_seconds()
            why = "the stop took longer than shutdown_grace allows"
            _later(limit, lambda: self._leave(_STOPPED_TOO_LATE, why=why))
        elif time.monotonic() - self._asked_at > _ONE_SIGNAL_SECONDS:
            # What was in flight is looked for by the next start.
            self._leave(128 + number, signal=signal.Signals(number).name)

    def _stop(self, number: int) -> None:
        log.info("daemon_stopping", signal=signal.Signals(number).name)
        self.stopping.set()
        self.begin()

    def _leave(self, code: int, **said: str) -> None:
        _later(1.0, lambda: os._exit(code))  # whatever hangs, the log included
        try:
            log.warning("left_at_once", **said)
            self.last_words()
            if self.lines is not None:
                self.lines.drain(0.5)
        finally:
            os._exit(code)


def _later(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
