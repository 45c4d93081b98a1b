"""
A limit for statements whose answer does not come, or is not wanted any more.

A line that swallows everything without a word (a failover, a firewall that forgot it) holds a
thread for as long as TCP likes, and a pooler or a proxy may keep TCP content for ever.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

STATEMENT_SECONDS = 15.0


@dataclass(slots=True)
class Line:
    """The connection that a thread works on, and since when it waits for an answer."""

    cut: Callable[[], None] | None = None
    """Ends what the connection does at this moment, with an error."""
    since: float = field(default_factory=monotonic)
    is_wanted: bool = True
    has_begun: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def break_if_silent(self, limit: float) -> None:
        """Let the thread go on, with an error, if its statement has waited for *limit* seconds."""
        with self._lock:
            if self.cut is not None and monotonic() - self.since >= limit:
                self.cut()

    def begin(self) -> bool:
        """Begin to work; False where nobody wants it any more."""
        with self._lock:
            self.has_begun = True
            return self.is_wanted

    def break_off(self) -> bool:
        """Say that nobody wants it any more; return whether it has begun all the same."""
        with self._lock:
            self.is_wanted = False
            return self.has_begun

    def take(self, cut: Callable[[], None] | None) -> None:
        """Say which connection the thread works on, None for no connection any more."""
        with self._lock:
            self.cut, self.since = cut, monotonic()


_local = threading.local()


@contextmanager
def watched(line: Line) -> Iterator[None]:
    """Note on *line* what this thread does with its connection, within the block."""
    _local.line = line
    try:
        yield
    finally:
        line.take(None)
        _local.line = None


def note_line(cut: Callable[[], None] | None) -> None:
    """Say how to end what is done with the connection that this thread works on from here on."""
    line: Line | None = getattr(_local, "line", None)
    if line is not None:
        line.take(cut)


def shut(file: int) -> None:
    """Break off the line to a server."""
    with suppress(OSError), socket.socket(fileno=os.dup(file)) as line:
        line.shutdown(socket.SHUT_RDWR)


def note_statement() -> None:
    """Say that this thread asks something now."""
    line: Line | None = getattr(_local, "line", None)
    if line is not None:
        line.since = monotonic()
