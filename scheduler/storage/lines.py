"""
A limit for statements whose answer does not come: the line to the server is broken off.

A line that swallows everything without a word (a failover, a firewall that forgot it) holds a
thread for as long as TCP likes, and a pooler or a proxy may keep TCP content for ever.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

STATEMENT_SECONDS = 15.0


@dataclass(slots=True)
class Line:
    """The connection that a thread works on, and since when it waits for an answer."""

    file: int | None = None
    since: float = field(default_factory=monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def break_if_silent(self, limit: float) -> None:
        """Let the thread go on, with an error, if its statement has waited for *limit* seconds."""
        with self._lock:
            if self.file is None or monotonic() - self.since < limit:
                return
            with suppress(OSError), socket.socket(fileno=os.dup(self.file)) as line:
                line.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """Say that the thread works on no connection any more."""
        with self._lock:
            self.file = None


_local = threading.local()


@contextmanager
def watched(line: Line) -> Iterator[None]:
    """Note on *line* what this thread does with its connection, within the block."""
    _local.line = line
    try:
        yield
    finally:
        line.let_go()
        _local.line = None


def note_line(file: int) -> None:
    """Say which connection this thread works on from here on."""
    line: Line | None = getattr(_local, "line", None)
    if line is not None:
        line.file, line.since = file, monotonic()


def note_statement() -> None:
    """Say that this thread asks something now."""
    line: Line | None = getattr(_local, "line", None)
    if line is not None:
        line.since = monotonic()
