"""What only a terminal sees: width, colour, questions."""

import contextlib
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
    seen = drain(ours).decode()
    return process.wait(60), seen


def drain(terminal: int) -> bytes:
    """Return what is written there until its last program ends, and close it."""
    seen = b""
    with contextlib.suppress(OSError):  # EIO: Linux's word for the end
        while more := os.read(terminal, 4096):
            seen += more
    os.close(terminal)
    return seen


def test_a_table_fits_the_terminal(home: Home) -> None:
    run_id = home.make_run(schedule="s" * 150)

    code, seen = on_terminal(home, "runs", "list", environ={"NO_COLOR": "1"})

    assert code == 0
    heading, row = seen.splitlines()
    assert heading.split() == ["id", "due_at", "schedule", "state"]
    assert row.split()[:3] == [str(run_id), "2026-03-02", "09:00:00Z"]
    assert "sss…" in row
    assert max(len(heading), len(row)) <= 80


def test_names_and_times_of_schedules_are_whole_on_80_columns(home: Home) -> None:
    home.sql("UPDATE schedules SET name = 'a-schedule-with-quite-a-long-name' WHERE queue > ''")
    home.sql("UPDATE schedules SET next_fire_at = '2026-03-03 01:00:00.000000'")

    _, seen = on_terminal(home, "schedules", "list", environ={"NO_COLOR": "1"})

    lines = seen.splitlines()
    assert max(map(len, lines)) <= 80
    assert "a-schedule-with-quite-a-long-name  yes      2026-03-03 01:00:00Z" in seen
    assert lines[-1].startswith("left out for want of room: ")


@pytest.mark.parametrize(
    "words",
    ["accounts list", "queues list", "runs list", "changes list", "collectors list", "runs show 1"],
)
def test_tables_fit_80_columns(home: Home, words: str) -> None:
    home.make_run(queue="nightly", detail="x" * 200)
    home.done("accounts", "pause", "main", "--reason", "y" * 200, "--until", "+2h")

    code, seen = on_terminal(home, *words.split(), environ={"NO_COLOR": "1"})

    tables = seen.partition("\nevents")[2].splitlines() if "show" in words else seen.splitlines()
    assert code == 0
    assert max(map(len, tables)) <= 80


@pytest.mark.parametrize(
    ("environ", "painted"),
    [({}, "\x1b[31mfailed\x1b[0m"), ({"NO_COLOR": "1"}, "failed"), ({"TERM": "dumb"}, "failed")],
    ids=["colour", "NO_COLOR", "dumb"],
)
def test_states_have_a_colour_unless_none_is_wanted(
    home: Home, environ: dict[str, str], painted: str
) -> None:
    run_id = home.make_run(**FAILED)

    seen = [on_terminal(home, *words, environ=environ)[1] for words in
            (("runs", "list"), ("runs", "show", str(run_id)))]  # fmt: skip

    assert all(painted in one for one in seen)
    assert all(("\x1b[31m" in one) == ("\x1b" in painted) for one in seen)
    assert "\x1b" not in home.done("runs", "list").out


WORKS = "from scheduler.cli.progress import working\nwith working('import'): input()\nprint('done')"


def test_what_takes_long_says_so_on_a_terminal_and_takes_it_back() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WORKS], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm"}, close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"import: 2s" not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, b"\n")
    seen += drain(ours)  # closed sooner, the end of its output would be an error of the program's

    assert process.wait(60) == 0
    assert b"\r\x1b[Kimport: 1s\r\x1b[Kimport: 2s" in seen
    assert seen.rpartition(b"done")[0].endswith(b"\r\x1b[K")


def test_what_takes_long_says_nothing_elsewhere() -> None:
    program = WORKS.replace("input()", "__import__('threading').Event().wait(2.5)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"done\n", b"")


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
    assert "what waits in queue nightly would be skipped: 1. Go on?" in seen


def test_a_question_says_how_many_runs_are_sent_again(home: Home) -> None:
    home.make_run(**FAILED)

    code, seen = on_terminal(home, "runs", "retry", "--state", "failed", typed=b"y\n")

    assert code == 0
    assert "Send 1 runs again?" in seen
    assert "run 1 is retried as run 2" in seen


def test_a_dumb_terminal_gets_no_styles(home: Home) -> None:
    assert "\x1b[" in on_terminal(home, "schedules", "list")[1]
    assert "\x1b[" not in on_terminal(home, "schedules", "list", environ={"TERM": "dumb"})[1]


def test_a_copy_shows_how_far_it_is(home: Home) -> None:
    code, seen = on_terminal(home, "db", "copy", f"sqlite:///{home.folder / 'copy.db'}")

    assert code == 0, seen
    assert "\r\x1b[Kschedules 2 of 2" in seen
    assert "\r\x1b[Kreading back schedules 2 of 2" in seen
    assert "read back alike" in seen.rpartition("\r\x1b[K")[2]
