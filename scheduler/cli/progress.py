"""A line on a terminal's standard error that says what takes so long, and nothing elsewhere."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Final

import click

_SECOND: Final = 1.0
_CLEARED: Final = "\r\x1b[K"
_only_one: Final = Lock()


@contextmanager
def working(what: str | None = None) -> Iterator[None]:
    """
    Say within the block, from its first second on, how long *what* has taken; then clear the line.

    Without *what* it is the command that is called. A block within another says nothing.
    """
    if not _is_shown() or not _only_one.acquire(blocking=False):
        yield
        return
    is_done = Event()
    teller = Thread(target=_tell, args=(what or _command(), is_done), daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_done.set()
        teller.join()
        _only_one.release()


@contextmanager
def counting() -> Iterator[Callable[[str, int, int], None]]:
    """Give what shows how many of what are done, of how many; then clear the line."""
    is_shown = _is_shown()

    def show(what: str, done: int, total: int) -> None:
        if is_shown:
            click.echo(f"{_CLEARED}{what} {done:,} of {total:,}", nl=False, err=True)

    try:
        yield show
    finally:
        if is_shown:
            click.echo(_CLEARED, nl=False, err=True)


def _is_shown() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _command() -> str:
    context = click.get_current_context(silent=True)
    return "working" if context is None else context.command_path.partition(" ")[2]


def _tell(what: str, is_done: Event) -> None:
    seconds = 0
    while not is_done.wait(_SECOND):
        seconds += 1
        sys.stderr.write(f"{_CLEARED}{what}: {seconds}s")
        sys.stderr.flush()
    if seconds:
        sys.stderr.write(_CLEARED)
        sys.stderr.flush()
