"""Which process of this machine one is, so that another can tell at once that it is gone."""

import os
from pathlib import Path

from scheduler.clock import boot_id


def this_process() -> str | None:
    """
    Return what names this process: boot, pid namespace, pid, start. None where nothing tells.

    Two of one machine never have it in common, also not in containers or after a reboot.
    """
    started = _started(os.getpid())
    return None if started is None else f"{_world()} {os.getpid()} {started}"


def is_gone(process: str | None) -> bool:
    """Tell whether what `this_process` named is known to have ended; of elsewhere it is not."""
    found = _of_here(process)
    return found is not None and _is_gone(*found)


def is_alive(process: str | None) -> bool:
    """Tell whether it is known to live; of elsewhere it is not."""
    found = _of_here(process)
    return found is not None and not _is_gone(*found)


def _of_here(process: str | None) -> tuple[int, str] | None:
    """Return pid and start of a process of this boot and pid namespace; else None."""
    match (process or "").split():
        case [boot, namespace, pid, started] if f"{boot} {namespace}" == _world():
            return int(pid), started
        case _:
            return None


def _is_gone(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's
    return _started(pid) not in (None, started)


def _world() -> str:
    try:
        return f"{boot_id()} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{boot_id()} unknown"


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks of its boot; that it has ended, of a zombie."""
    try:
        # Its name, in parentheses, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "ended" if fields[0] in ("Z", "X") else fields[19]
