"""Log lines of a daemon: whoever does not read them holds up nobody."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from scheduler.log_lines import MOST_WAITING, BackgroundLines


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Give a pipe: what to read it by, and what to write to."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        yield reading, stream


def written_within(seconds: float, lines: BackgroundLines, count: int) -> bool:
    """Write in another thread, and tell whether it got through."""

    def write() -> None:
        for number in range(count):
            lines.write(f"line {number}")

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def test_a_pipe_that_nobody_reads_holds_up_nobody(pipe: tuple[int, TextIO]) -> None:
    lines = BackgroundLines(pipe[1])

    assert written_within(20, lines, 2 * MOST_WAITING)
    lines.drain(0.05)  # ends, although nobody reads


def test_what_was_lost_is_counted_once_somebody_reads_again(pipe: tuple[int, TextIO]) -> None:
    lines = BackgroundLines(pipe[1])
    assert written_within(20, lines, 4 * MOST_WAITING)

    said = ""
    while "were lost" not in said:
        said += os.read(pipe[0], 65536).decode()

    kept = said.count("line ")
    lost = int(said.splitlines()[-1].split()[0])
    assert kept + lost == 4 * MOST_WAITING


def test_lines_come_in_their_order_and_are_all_there_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("w") as stream:
        lines = BackgroundLines(stream)
        for number in range(2_000):
            lines.write(str(number))
        lines.drain(20)

    assert file.read_text().split() == [str(number) for number in range(2_000)]


def test_many_that_are_written_together_are_there_before_the_writer_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("w") as stream:
        BackgroundLines(stream).write_all(map(str, range(1_000)))
        written = file.read_text().split()

    assert written == [str(number) for number in range(1_000)]


def test_many_that_nobody_reads_hold_up_nobody(pipe: tuple[int, TextIO]) -> None:
    lines = BackgroundLines(pipe[1])
    lines.write("x" * 1_000_000)  # more than a pipe takes

    def write() -> None:
        for _ in range(1_000):
            lines.write_all(["line"])

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(20)  # a moment for each would take five times as long
    assert not thread.is_alive()
