#!/usr/bin/env python3
"""
What a newcomer runs first: the demo, the tests, every check. It needs Python 3.11 and nothing else.

The first call makes .venv in this checkout and installs what constraints.txt pins, with uv if
there is one, else with venv and pip; their own settings (PIP_*, UV_*, pip.conf) hold.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "dev.py needs Python 3.11 or newer, and this is {0[0]}.{0[1]} ({1}):"
        " start it with a newer one, for example python3.12 dev.py".format(
            sys.version_info, sys.executable
        )
    )

import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / "dev-state.json"

USAGE = """\
usage: python3 dev.py COMMAND [ARGUMENTS]

  demo [--seconds N]    fire schedules at a sandbox on this machine and watch; Ctrl-C ends it
  test [pytest's]       run the tests, in parallel, on SQLite and PostgreSQL
  docs                  build the site of docs/ into build/docs
  check                 ruff, mypy, import-linter and the tests: what has to pass
  env                   only make .venv, and say how to use it"""
BENCH_USAGE = "  bench [ARGUMENTS]     measure"

CHECKS = {
    "ruff check": ("ruff", "check", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "import-linter": ("lint-imports",),
    "ratchets": ("python", "-m", "tests.ratchets"),
    # A file's tests go to one worker while there are others: what they share is made once.
    "tests": ("pytest", "-n", "auto", "--dist", "worksteal"),
}

# -W: a page that is linked and not there, a table that is none, fail it. No network is asked.
DOCS = ("-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", "build/docs")

NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
LAST_FAILED = ".pytest_cache/v/cache/lastfailed"
SOME_FAILED = 1  # pytest's exit code
AGAIN_AT_MOST = 8  # more are no coincidence

# What each level installs. The demo has no need to wait for what only developers use.
LEVELS = {"run": ".", "dev": ".[dev]"}

State = dict[str, str]
UNFINISHED: State = {"level": "none"}


def main(command: str = "help", *arguments: str) -> int:
    """Do *command*; return the exit code."""
    if command == "demo":
        prepare("run")
        sys.stdout.flush()
        os.execv(VENV / "bin" / "dca-scheduler", ["dca-scheduler", "demo", *arguments])
    if command == "test":
        prepare("dev")
        return run(*CHECKS["tests"], *arguments)
    if command == "check":
        prepare("dev")
        return check()
    if command == "docs":
        prepare("dev")
        return run("python", *DOCS)
    if command == "bench" and has_bench():
        prepare("dev")
        return run("python", "-m", "bench", *arguments)
    if command == "env":
        prepare("dev")
        print(f"{VENV} is ready: source {VENV}/bin/activate")
        return 0
    print(USAGE + (f"\n{BENCH_USAGE}" if has_bench() else ""))
    return 0 if command in ("help", "-h", "--help") else 2


def has_bench() -> bool:
    return (ROOT / "bench").is_dir()


def run(program: str, *arguments: str) -> int:
    """
    Run a program of the environment in the checkout; return its exit code.

    However it ends, nothing that it started is left running: what it leaves behind becomes this
    process's own child, is buried when it ends, has a moment to tidy up at the end, and is killed.
    """
    sys.stdout.flush()
    adopt_orphans()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Tests start hundreds of Pythons: each would compile all that it imports.
    environ = {name: value for name, value in os.environ.items() if name != NO_BYTECODE}
    process = subprocess.Popen([VENV / "bin" / program, *arguments], cwd=ROOT, env=environ)
    try:
        return wait_and_bury(process)
    except KeyboardInterrupt:
        interrupt(process)
        return 130
    finally:
        end_orphans()


def wait_and_bury(process: "subprocess.Popen[bytes]") -> int:
    """Wait for *process*; orphans that end meanwhile stay no zombies, which look as if they ran."""
    while sys.platform == "linux":
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        if ended is None or ended.si_pid == process.pid:
            break
        os.waitpid(ended.si_pid, 0)
    return process.wait()


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Let *process* end in order; a terminal's Ctrl-C has reached it already, a signal may not."""
    for number, patience in ((None, 3), (signal.SIGINT, 30), (signal.SIGKILL, 5)):
        if number is not None:
            process.send_signal(number)
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


def adopt_orphans() -> None:
    """Become the parent of whatever the children leave behind, on Linux (prctl(2))."""
    if sys.platform == "linux":
        set_child_subreaper = 36
        ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def end_orphans(patience: float = 15.0) -> None:
    """Wait until all children are gone; kill those that are not after *patience* seconds."""
    deadline = time.monotonic() + patience
    while list_children():
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            if time.monotonic() > deadline:
                for pid in list_children():
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


def list_children() -> list[int]:
    """Return the processes whose parent is this one; none where there is no /proc."""
    return [pid for pid, parent in list_processes() if parent == os.getpid()]


def list_processes() -> Iterator[tuple[int, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        yield int(stat.parent.name), int(words[1])


def check() -> int:
    """Run every check, also after one has failed, and sum up."""
    results = []
    for name, words in CHECKS.items():
        print(f"\n== {name}: {' '.join(words)}")
        started = time.monotonic()
        passed = (run_tests() if name == "tests" else run(*words)) == 0
        results.append((name, passed, time.monotonic() - started))

    print()
    for name, passed, seconds in results:
        print(f"{name:15} {'ok' if passed else 'FAILED':7} {seconds:5.1f} s")
    return 0 if all(passed for _, passed, _ in results) else 1


def run_tests() -> int:
    """
    Run all tests, then the few that failed once more, one after the other; return the exit code.

    They start real programs and wait for them, and on a machine with other work one of thousands
    can be too slow. What fails alone, too, has failed. What did not is named: it is to be mended.
    """
    (ROOT / LAST_FAILED).unlink(missing_ok=True)  # of an earlier run, and gone or mended by now
    code = run(*CHECKS["tests"])
    failed = list_failed() if code == SOME_FAILED else []
    if not 0 < len(failed) <= AGAIN_AT_MOST:
        return code
    print(f"\n== {len(failed)} failed; once more, alone")
    code = run("pytest", "-n", "0", "--last-failed", "--last-failed-no-failures", "none")
    if code == 0:
        print("\nPASSED ONLY AT THE SECOND TRY, and to be mended:", *failed, sep="\n  ")
    return code


def list_failed() -> list[str]:
    """Return the tests that failed when they last ran, as pytest keeps them."""
    try:
        return sorted(json.loads((ROOT / LAST_FAILED).read_text()))
    except (OSError, ValueError):
        return []


def prepare(level: str) -> None:
    """Make .venv hold what *level* needs; at once if it does already."""
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second dev.py waits here until the first has installed
        state = read_state()
        if state in (wanted_state("dev"), wanted_state(level)):
            return
        clear_unusable(state)
        # Also what was installed for the demo alone grows; what a developer has is kept.
        level = "dev" if state.get("level") == "dev" else level
        VENV.mkdir(exist_ok=True)
        STATE.write_text(json.dumps(UNFINISHED))
        install(LEVELS[level])
        STATE.write_text(json.dumps(wanted_state(level)))


def read_state() -> State:
    """Return what the last installation noted; nothing if there was none."""
    try:
        state: State = json.loads(STATE.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return UNFINISHED
    return state


def wanted_state(level: str) -> State:
    """Return what a finished installation of *level* notes."""
    pins = (ROOT / "pyproject.toml").read_bytes() + (ROOT / "constraints.txt").read_bytes()
    return {
        "level": level,
        "python": "{0[0]}.{0[1]}".format(sys.version_info),
        "place": str(ROOT),
        "packages": hashlib.sha256(pins).hexdigest(),
    }


def clear_unusable(state: State) -> None:
    """Remove a .venv that was left half made, belongs to another Python, or was moved here."""
    wanted = wanted_state("dev")
    if VENV.is_symlink() or (VENV.exists() and not VENV.is_dir()):
        sys.exit(f"{VENV} is not a folder of its own: move it away, then try again")
    usable = not state or all(state.get(key) == wanted[key] for key in ("python", "place"))
    if usable and (not VENV.exists() or venv_version() == wanted["python"]):
        return
    if not state and venv_version():
        sys.exit(f"{VENV} is not dev.py's and has Python {venv_version()}: move it away")
    shutil.rmtree(VENV)


def venv_version() -> str:
    """Return the version of .venv's Python; empty if it does not start."""
    words = "import sys; print('{0[0]}.{0[1]}'.format(sys.version_info))"
    try:
        done = subprocess.run([PYTHON, "-c", words], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def install(what: str) -> None:
    """Make the environment and install *what* into it, or leave with the reason."""
    uv = shutil.which("uv")
    if uv:
        print(f"preparing {VENV} with uv ...", file=sys.stderr)
        if install_with_uv(uv, what):
            return
        print("uv could not do it; trying venv and pip", file=sys.stderr)
    install_with_pip(what)


def install_with_uv(uv: str, what: str) -> bool:
    make = succeeds(uv, "venv", "--quiet", "--allow-existing", "--python", base_python(), VENV)
    pip = (uv, "pip", "install", "--quiet", "--python", PYTHON)
    return make and succeeds(*pip, "-c", "constraints.txt", "-e", what)


def install_with_pip(what: str) -> None:
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        sys.exit(
            "this Python cannot make environments, its venv module is incomplete:"
            " on Debian and Ubuntu, apt install python3-venv; or install uv"
        )
    print(f"preparing {VENV} with venv and pip, about a minute ...", file=sys.stderr)
    if not succeeds(base_python(), "-m", "venv", VENV):
        sys.exit(f"python -m venv could not make {VENV}; its words are above")
    pip = (PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    if not succeeds(*pip, "-c", "constraints.txt", "-e", what):
        sys.exit(
            "pip could not install the packages; its words are above. Is the package index"
            " within reach? An index of your own is named as always: PIP_INDEX_URL or pip.conf"
        )


def base_python() -> str:
    """Return the Python to build on, also when this one is itself .venv's."""
    return getattr(sys, "_base_executable", None) or sys.executable


def succeeds(*words: str | Path) -> bool:
    return subprocess.run(words, cwd=ROOT).returncode == 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
