"""
Runs the console blocks of a page, word by word, in a folder of their own.

* Blocks of `console` are run in order, in one shell; `$ ` and `# ` begin a command, every other
  line is what it prints: in that order, among other lines, `…` for anything. A command fails the
  page unless it ends with 0, or with N where the comment `# exit code N` says so.
* A line that is nothing but `NAME`: before a block writes it to that file. `<!-- wait: WORDS -->`
  waits until what was begun last has printed them, `<!-- not run -->` passes over a block.
* The sandbox's port and names of hosts are the folder's own.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.rig import PATIENCE

_BLOCK: Final = re.compile(
    r"(?:<!-- (?P<kind>wait|not run):? ?(?P<words>.*?) -->\n+|`(?P<file>[^`\n]+)`:\n\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_EXIT_CODE: Final = re.compile(r"# exit code (\d+)")
_LIMIT: Final = 60 * PATIENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line that is run, and the lines that it is to print."""

    words: str
    prints: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """How it is to end."""
        found = _EXIT_CODE.search(self.words)
        return int(found[1]) if found else 0


@dataclass(slots=True, kw_only=True)
class Page:
    """One page, run in *folder*; *replaced* are words that stand for what is elsewhere."""

    file: Path
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)
    transcript: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Run all of it; AssertionError, with what was printed, for the first thing wrong."""
        self._prepare()
        shell = self._shell()
        try:
            for block in _BLOCK.finditer(self.file.read_text()):
                self._run_block(shell, block)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.communicate()

    def _run_block(self, shell: "subprocess.Popen[str]", block: re.Match[str]) -> None:
        kind, words, text = block["kind"], block["words"], self._here(block["text"])
        if kind == "not run":
            return
        if block["file"]:
            (self.folder / block["file"]).write_text(text)
        elif block["language"] == "console":
            for command in commands_of(text):
                self._run(shell, command)
        if kind == "wait":
            self._wait_for(words)

    def _run(self, shell: "subprocess.Popen[str]", command: Command) -> None:
        output = self.folder / ".output"
        done = self.folder / ".done"
        done.unlink(missing_ok=True)
        assert shell.stdin is not None
        # Into a file, so that what is left in the background holds no pipe.
        words = command.words.rstrip()
        output.write_text("")
        if words.endswith("&"):
            (self.folder / ".background").write_text("")
            shell.stdin.write(f"{words[:-1]} >> .background 2>&1 < /dev/null &\n")
        else:
            shell.stdin.write(f"{{ {words}\n}} > .output 2>&1 < /dev/null\n")
        shell.stdin.write("echo $? > .code; mv .code .done\n")
        shell.stdin.flush()
        self._until(done.exists, f"{command.words} to end")
        printed = output.read_text(errors="replace")
        code = int(done.read_text())
        self.transcript.append(f"$ {command.words}\n{printed}")
        assert code == command.exit_code, f"exit code {code}\n{self.told()}"
        missing = first_missing(command.prints, printed.splitlines())
        assert missing is None, f"not printed: {missing!r}\n{self.told()}"

    def told(self) -> str:
        """Return all that was run and printed."""
        return "\n".join([str(self.file.name), *self.transcript])

    def _wait_for(self, words: str) -> None:
        log = self.folder / ".background"
        self._until(lambda: words in log.read_text(), repr(words))

    def _until(self, look: object, what: str) -> None:
        assert callable(look)
        deadline = time.monotonic() + _LIMIT
        while not look():
            assert time.monotonic() < deadline, f"waited for {what}\n{self.told()}"
            time.sleep(0.05)

    def _prepare(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.replaced = {"8999": port, **self.replaced}

    def _here(self, text: str) -> str:
        for word, here in self.replaced.items():
            text = text.replace(word, here)
        return text

    def _shell(self) -> "subprocess.Popen[str]":
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DCA_", "PYTEST", "NOTIFY"))
        }
        program = Path(sys.executable).parent
        environ |= {"PATH": f"{program}:{environ['PATH']}", "COLUMNS": "200"}
        return subprocess.Popen(
            ["bash", "--norc"],
            cwd=self.folder,
            env={**environ, **self.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )


def commands_of(text: str) -> Iterator[Command]:
    """Yield the commands of a block; a line that ends with a backslash goes on."""
    words: str | None = None
    prints: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith(("$ ", "# ")):
            if words is not None:
                yield Command(words=words, prints=tuple(prints))
            words, prints = line[2:], []
        elif line.strip() and line.strip() != "…":
            prints.append(line)
    if words is not None:
        yield Command(words=words, prints=tuple(prints))


def first_missing(expected: tuple[str, ...], printed: list[str]) -> str | None:
    """Return the first of *expected* that is not among *printed*, each after the one before."""
    lines = iter(" ".join(line.split()) for line in printed)
    for want in expected:
        parts = (re.escape(part.strip()) for part in " ".join(want.split()).split("…"))
        pattern = re.compile(".*".join(parts))
        if not any(pattern.fullmatch(line.strip()) for line in lines):
            return want
    return None
