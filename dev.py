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

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STATE = VENV / "dev-state.json"

USAGE = """\
usage: python3 dev.py COMMAND [ARGUMENTS]

  demo [--seconds N]    fire schedules at a sandbox on this machine and watch; Ctrl-C ends it
  test [pytest's]       run the tests, in parallel, on SQLite and PostgreSQL
  check                 ruff, mypy, import-linter and the tests: what has to pass
  env                   only make .venv, and say how to use it"""
BENCH_USAGE = "  bench [ARGUMENTS]     measure"

CHECKS = {
    "ruff check": ("ruff", "check", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "import-linter": ("lint-imports",),
    "tests": ("pytest", "-n", "auto"),
}

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
    """Run a program of the environment in the checkout; return its exit code."""
    sys.stdout.flush()
    return subprocess.run([VENV / "bin" / program, *arguments], cwd=ROOT).returncode


def check() -> int:
    """Run every check, also after one has failed, and sum up."""
    results = []
    for name, words in CHECKS.items():
        print(f"\n== {name}: {' '.join(words)}")
        started = time.monotonic()
        passed = run(*words) == 0
        results.append((name, passed, time.monotonic() - started))

    print()
    for name, passed, seconds in results:
        print(f"{name:15} {'ok' if passed else 'FAILED':7} {seconds:5.1f} s")
    return 0 if all(passed for _, passed, _ in results) else 1


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
