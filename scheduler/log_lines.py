"""Where log lines go: a stream, and before it, for a daemon, a thread that nobody waits for."""

import os
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Final, TextIO

MOST_WAITING = 10_000
"""So many lines wait for a reader that has stopped; what comes then is lost, and counted."""

_AT_ONCE = 500
_MOMENT: Final = 0.1

JOURNAL_ERROR: Final = "<3>"
"""What a line of systemd's journal begins with, of something that failed (sd-daemon(3))."""


class Lines:
    """Writes lines to a stream; one that cannot be written is dropped: logging ends no program."""

    def __init__(self, stream: TextIO | None) -> None:
        # None if the process was started without a standard error.
        self._stream = stream
        # A signal's handler may write a line while it interrupts one that is being written.
        self._lock = threading.RLock()

    @property
    def is_terminal(self) -> bool:
        """Tell whether a person reads along."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # it is closed
            return False

    @property
    def is_journal(self) -> bool:
        """Tell whether systemd's journal reads along: it takes a priority from a line's start."""
        named = os.environ.get("JOURNAL_STREAM", "")
        try:
            stat = None if self._stream is None else os.fstat(self._stream.fileno())
        except (OSError, ValueError):  # closed, or no file
            return False
        return stat is not None and named == f"{stat.st_dev}:{stat.st_ino}"

    def write(self, line: str) -> None:
        """Write one line."""
        with self._lock, suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.write(f"{line}\n")
                self._stream.flush()

    def write_all(self, lines: Iterable[str]) -> None:
        """Write many, one after the other."""
        for line in lines:
            self.write(line)

    def drain(self, seconds: float) -> None:
        """Wait until everything is written, for so long at most."""

    debug = info = warning = error = critical = write


class BackgroundLines(Lines):
    """
    Lines that a thread writes: a pipe that nobody reads holds up nobody.

    It writes to the file itself, so that no lock of the stream is held while the file blocks.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._file = stream.fileno()
        self._waiting: deque[str] = deque()
        self._lost = 0
        self._is_writing = False
        self._changed = threading.Condition(self._lock)
        threading.Thread(target=self._write_on, name="log", daemon=True).start()

    def write(self, line: str) -> None:
        """Hand one line over, or count it as lost."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                self._lost += 1
                return
            self._waiting.append(line)
            if len(self._waiting) == 1:  # else it is awake
                self._changed.notify_all()

    def write_all(self, lines: Iterable[str]) -> None:
        """Hand many over, and wait a moment until they are written, unless nobody reads."""
        is_read = not (self._waiting or self._is_writing)
        super().write_all(lines)
        if is_read:  # what is told in a transaction is told before that ends, if a crash comes
            self.drain(_MOMENT)

    def drain(self, seconds: float) -> None:
        """Wait until everything is written, for so long at most."""
        deadline = monotonic() + seconds
        with self._changed:
            while (self._waiting or self._is_writing) and monotonic() < deadline:
                self._changed.wait(deadline - monotonic())

    debug = info = warning = error = critical = write

    def _write_on(self) -> None:
        while True:
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()
                while not self._waiting:
                    self._changed.wait()
                self._is_writing = True
                lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
                if self._lost and not self._waiting:
                    lines.append(f"{self._lost} lines were lost here: nobody read them in time")
                    self._lost = 0
            content = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
            with suppress(OSError):
                while content:
                    content = content[os.write(self._file, content) :]


def lines_to(stream: TextIO | None, *, in_background: bool) -> Lines:
    """Return what writes to *stream*; one that is no file, or is closed, has no background."""
    if stream is not None and in_background:
        with suppress(OSError, ValueError):
            return BackgroundLines(stream)
    return Lines(stream)
