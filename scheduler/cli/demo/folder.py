"""The one folder that the demo writes: never one that holds anything else."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scheduler.cli.examples import example_config, example_inputs
from scheduler.domain.errors import Conflict

_MARK: Final = ".dca-scheduler-demo"


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where the demo keeps its files."""

    path: Path

    @property
    def config(self) -> Path:
        """The example configuration."""
        return self.path / "config.toml"

    @property
    def database(self) -> Path:
        """The database, made anew by each demo."""
        return self.path / "dca-scheduler.db"

    @property
    def daemon_log(self) -> Path:
        """What the daemon logs."""
        return self.path / "daemon.log"

    @property
    def sandbox_log(self) -> Path:
        """What the sandbox says."""
        return self.path / "sandbox.log"


@contextmanager
def demo_folder(path: Path) -> Iterator[DemoFolder]:
    """
    Prepare the folder and keep other demos out of it within the block.

    Raises Conflict for a folder that holds something and was not made by a demo, and
    AlreadyRunning while a daemon uses its database.
    """
    mark = path / _MARK
    if path.exists() and (not path.is_dir() or any(path.iterdir())) and not mark.exists():
        raise Conflict(f"{path} is there and not a demo's: name another --folder")
    path.mkdir(parents=True, exist_ok=True)
    with mark.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another demo runs in {path}: name another --folder") from None
        folder = DemoFolder(path)
        _begin_anew(folder)
        yield folder


def _begin_anew(folder: DemoFolder) -> None:
    from scheduler.daemon.instance_lock import instance_lock

    with instance_lock(folder.database, me="a demo that begins"):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{folder.database}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(example_config(), folder.config)
    inputs = folder.path / "inputs"
    inputs.mkdir(exist_ok=True)
    for file in example_inputs().iterdir():
        shutil.copyfile(file, inputs / file.name)
    for log in (folder.daemon_log, folder.sandbox_log):
        log.write_bytes(b"")
