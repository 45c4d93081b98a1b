"""What only a terminal sees: width, colour, questions."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.surfaces.rig import FAILED, Home, process_environment


def on_terminal(
    home: Home, *words: str, typed: bytes = b"", environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a command on a terminal of 80 columns; return its exit code and what was seen."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "scheduler", *words, "-c", home.config],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=process_environment({**size, **(environ or {})}),
        close_fds=True,
    )
    os.close(theirs)
    os.write(ours, typed)
    seen = b""
    try:
        while chunk := os.read(ours, 4096):
            seen += chunk
    except OSError:
        pass  # Linux says so when the other end is closed
    os.close(ours)
    return process.wait(30), seen.decode()


def test_a_table_fits_the_terminal(home: Home) -> None:
    run_id = home.make_run(schedule="s" * 150)

    code, seen = on_terminal(home, "runs", "list", environ={"NO_COLOR": "1"})

    assert code == 0
    heading, row = seen.splitlines()
    assert heading.split() == ["id", "due_at", "schedule", "state", "collection_id"]
    assert row.split()[:3] == [str(run_id), "2026-03-02", "09:00:00Z"]
    assert "sss…" in row
    assert max(len(heading), len(row)) <= 80


@pytest.mark.parametrize(
    ("environ", "is_bold"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["colour", "NO_COLOR"]
)
def test_headings_stand_out_unless_no_colour_is_wanted(
    home: Home, environ: dict[str, str], is_bold: bool
) -> None:
    _, seen = on_terminal(home, "collectors", "list", environ=environ)

    assert ("\x1b[" in seen) is is_bold


@pytest.mark.parametrize(
    ("typed", "code", "state"),
    [(b"y\n", 0, "skipped"), (b"n\n", 1, "queued"), (b"\n", 1, "queued")],
    ids=["yes", "no", "nothing"],
)
def test_a_question_is_asked_before_a_queue_is_flushed(
    home: Home, typed: bytes, code: int, state: str
) -> None:
    run_id = home.make_run(queue="nightly")

    ended, seen = on_terminal(home, "queues", "flush", "nightly", typed=typed)

    assert (ended, home.run(run_id)["state"]) == (code, state)
    assert "Skip what waits in queue nightly, now 1?" in seen


def test_a_question_says_how_many_runs_are_sent_again(home: Home) -> None:
    home.make_run(**FAILED)

    code, seen = on_terminal(home, "runs", "retry", "--state", "failed", typed=b"y\n")

    assert code == 0
    assert "Send 1 runs again?" in seen
    assert "run 1 is retried as run 2" in seen
