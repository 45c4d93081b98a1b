"""The demo's processes: started apart from the terminal's Ctrl-C, and stopped in order."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

import scheduler
from scheduler.cli.exit_codes import Ended, ExitCode

_STOP_SECONDS: Final = 15.0
_LAST_LINES: Final = 10


@dataclass(frozen=True, slots=True)
class Child:
    """A process of ours, and the file that holds what it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """Raise Ended, after showing its last words, when it has ended by itself."""
        code = self.process.poll()
        if code is None:
            return
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines[-_LAST_LINES:]:
            click.echo(f"  {line}", err=True)
        known = code if code in list(ExitCode) and code else ExitCode.REFUSED
        raise Ended(known, f"the {self.name} ended early, exit code {code}: see {self.log}")

    def wait_for(self, sign: str, *, seconds: float, pause: Callable[[float], object]) -> str:
        """Return the first line of the log that holds *sign*; raises Ended when none comes."""
        for _ in range(int(seconds / 0.05)):
            # Dead or alive is asked first: what it said before it died is in the log then.
            is_dead = self.process.poll() is not None
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
                if sign in line:
                    return line
            if is_dead:
                self.require_alive()
            pause(0.05)
        raise Ended(ExitCode.REFUSED, f"the {self.name} is not ready: see {self.log}")

    def stop(self) -> None:
        """Ask it to end, wait, and end it if it does not."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def running(
    name: str, words: Sequence[str], environ: Mapping[str, str], log: Path
) -> Iterator[Child]:
    """Run a command of this program within the block."""
    here = str(Path(scheduler.__file__).resolve().parent.parent)
    path = ":".join(filter(None, (here, environ.get("PYTHONPATH"))))
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - our own program, our own words
            [sys.executable, "-P", "-m", "scheduler", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**environ, "PYTHONPATH": path},
            start_new_session=True,
        )
    child = Child(name, process, log)
    try:
        yield child
    finally:
        child.stop()
