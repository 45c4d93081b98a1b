"""
An event loop whose time is made up: where nothing is ready, it jumps to what is due next.

asyncio does the rest, so that timeouts, loops and locks are the real ones. What would be done in a
thread is done between two callbacks: one process, one order, the same each time.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import datetime, timedelta
from math import ceil
from selectors import DefaultSelector, SelectorKey
from typing import Any, Final, TypeVar, cast

from scheduler.clock import boot_seconds_from

Result = TypeVar("Result")

_A_TRANSACTION: Final = 0.001
"""So many seconds what is done in a thread takes: where nothing took time, a loop might not end."""


class NothingIsDue(RuntimeError):
    """Everybody waits for something that will never happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    Begins at *start*. It is counted in whole microseconds, so that no wake comes a little early.

    *thread_seconds* says how long each thing takes that is done in a thread.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._microseconds = 0
        self.thread_seconds: Callable[[], float] = lambda: _A_TRANSACTION
        super().__init__(_Jumping(self.advance))

    def time(self) -> float:
        """Return the seconds since the beginning."""
        return self._microseconds / 1e6

    def now(self) -> datetime:
        """Return the present moment."""
        return self._start + timedelta(microseconds=self._microseconds)

    def advance(self, seconds: float) -> None:
        """Let so much time pass at once: nothing happens meanwhile."""
        self._microseconds += ceil(seconds * 1e6 - 1e-3)

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """Do *func* in the loop itself, soon; what comes of it is known a moment later."""
        done: asyncio.Future[Result] = self.create_future()
        self.call_soon(self._do, done, func, args)
        return done

    def _do(
        self, done: asyncio.Future[Result], func: Callable[..., Result], args: tuple[Any, ...]
    ) -> None:
        seconds = self.thread_seconds()
        try:
            result = func(*args)
        except Exception as error:
            self.call_later(seconds, _fail, done, error)
        else:
            self.call_later(seconds, _succeed, done, result)


def _succeed(done: asyncio.Future[Result], result: Result) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


class _Jumping(DefaultSelector):
    """Waits for nothing: lets the time pass for which it was to wait."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Return what is ready, after *timeout* of the made-up time."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingIsDue("everybody waits for something that will never happen")
        if not ready and timeout:
            self._advance(timeout)
        return ready


def run_virtually(
    main: Callable[[VirtualLoop], Coroutine[Any, Any, Result]], *, start: datetime
) -> Result:
    """Run *main* from *start* on, its process's uptime included; return what it returns."""
    loop = VirtualLoop(start)
    with boot_seconds_from(loop.time), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))


async def pause(seconds: float) -> None:
    """Wait for so long, in the running loop's time."""
    loop = asyncio.get_running_loop()
    passed: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, passed.set_result, None)
    try:
        await passed
    finally:
        timer.cancel()


def let_pass(seconds: float) -> None:
    """Let so much time pass in what would be done in a thread."""
    cast(VirtualLoop, asyncio.get_running_loop()).advance(seconds)


async def at_once(read: Callable[[], Result]) -> Result:
    """Do what would be done in a thread of its own."""
    return read()
