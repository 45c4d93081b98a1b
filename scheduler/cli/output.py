"""Standard output that remembers what it could not write, so that it can be said elsewhere."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from scheduler.cli.exit_codes import CommandEnded, ExitCode


class Remembering:
    """A stream, and what was written to it since it last was flushed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.unwritten = ""
        self.has_written = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write *text*, as the stream does."""
        self.has_written = self.has_written or bool(text)
        self.unwritten = (self.unwritten + text)[-_MOST_REMEMBERED:]
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream: what was written so far is out."""
        self._stream.flush()
        self.unwritten = ""


_MOST_REMEMBERED = 2_000


@contextmanager
def remembered_output() -> Iterator[Remembering]:
    """Remember within the block; a program started without standard output writes to nobody."""
    before = sys.stdout
    nobody = Path(os.devnull).open("w") if before is None else None  # noqa: SIM115 - closed below
    sys.stdout = output = Remembering(nobody or before)
    try:
        yield output
    finally:
        sys.stdout = before
        if nobody is not None:
            nobody.close()


def give_up_output() -> None:
    """Let what is left in the buffer go nowhere: no second complaint at the exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_new(output: Path, text: str) -> None:
    """Write a file that is not there yet; CommandEnded where it is."""
    try:
        with output.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise CommandEnded(
            ExitCode.REFUSED, f"{output} is there already: name a new file"
        ) from None
