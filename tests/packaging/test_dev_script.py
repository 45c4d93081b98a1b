"""What dev.py starts is gone when dev.py is, however it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# A program that leaves a child of its own behind, in a session of its own, and tells its number.
LEAVES_ONE_BEHIND = """
import subprocess, sys, time
words = [sys.executable, "-c", "import time; time.sleep(600)"]
child = subprocess.Popen(words, start_new_session=True)
print(child.pid, flush=True)
if sys.argv[1:] == ["wait"]:
    time.sleep(600)
"""
# A program whose orphan ends before it: in vain it would wait for a zombie to be gone.
OUTLIVES_ITS_ORPHAN = """
import os, subprocess, sys, time
words = [sys.executable, "-c", "import subprocess; print(subprocess.Popen(['true']).pid)"]
orphan = int(subprocess.run(words, capture_output=True).stdout)
deadline = time.monotonic() + 60
while os.path.exists(f"/proc/{orphan}") and time.monotonic() < deadline:
    time.sleep(0.01)
sys.exit(3 if os.path.exists(f"/proc/{orphan}") else 0)
"""
RUNS_IT = """
import signal, sys, dev
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
dev.VENV = dev.Path(sys.prefix)
dev.end_orphans.__defaults__ = (0.0,)
sys.exit(dev.run("python", "-c", {program!r}, *sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_running_when_it_is_interrupted(number: signal.Signals) -> None:
    with started("wait") as process:
        orphan = told_by(process)
        process.send_signal(number)

        assert process.wait(60) == 130

    assert not is_running(orphan)


def test_nothing_is_left_running_when_it_is_done() -> None:
    with started() as process:
        orphan = told_by(process)

        assert process.wait(60) == 0

    assert not is_running(orphan)


def test_an_orphan_that_ends_is_no_zombie_meanwhile() -> None:
    with started(program=OUTLIVES_ITS_ORPHAN) as process:
        assert process.wait(120) == 0


FAILS_ONCE = """
import os, pytest
from pathlib import Path
@pytest.mark.parametrize("n", [1], ids=["a name [with] all :: there is"])
def test_one(n):
    met = Path(__file__).with_suffix(".met")
    assert met.exists() or met.touch()
def test_other(): pass
"""
DIES_ONCE = FAILS_ONCE.replace("met.touch()", "met.touch() or os._exit(3)")
TESTS_THERE = """
import sys, dev
dev.VENV, dev.ROOT = dev.Path(sys.prefix), dev.Path.cwd()
sys.exit(dev.run_tests())
"""
# Other plugins take most of the time, and have nothing to do with it.
ENVIRON = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "xdist.plugin",
}


@pytest.mark.parametrize(
    ("tests", "code", "words"),
    [
        (FAILS_ONCE, 0, "PASSED ONLY AT THE SECOND TRY"),
        (DIES_ONCE, 0, "PASSED ONLY AT THE SECOND TRY"),
        (FAILS_ONCE.replace("met.exists() or", ""), 1, "1 failed; once more, alone"),
        ("def test_one(): pass", 0, "1 passed"),
    ],
    ids=["once", "dies once", "always", "never"],
)  # fmt: skip
def test_what_failed_is_tried_once_more_alone(
    tmp_path: Path, tests: str, code: int, words: str
) -> None:
    (tmp_path / "test_it.py").write_text(tests)
    stale = tmp_path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    stale.parent.mkdir(parents=True)
    stale.write_text(json.dumps({f"gone.py::test_{number}": True for number in range(20)}))
    done = subprocess.run(
        [sys.executable, "-c", TESTS_THERE], cwd=tmp_path, capture_output=True, text=True,
        env=ENVIRON,
    )  # fmt: skip

    assert done.returncode == code, done.stdout
    assert words in done.stdout
    assert ("test_it.py::test_one" in done.stdout.partition("mended:")[2]) == ("SECOND" in words)


def test_many_that_failed_are_not_tried_again(tmp_path: Path) -> None:
    many = "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_one(n): assert 0\n"
    (tmp_path / "test_it.py").write_text(many)
    done = subprocess.run(
        [sys.executable, "-c", TESTS_THERE], cwd=tmp_path, capture_output=True, text=True,
        env=ENVIRON,
    )  # fmt: skip

    assert done.returncode == 1
    assert "once more" not in done.stdout


def started(*arguments: str, program: str = LEAVES_ONE_BEHIND) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", RUNS_IT.format(program=program), *arguments]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told_by(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
