"""The socket that is listened on: taken before anything else, so that a refusal is a sentence."""

import errno
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from scheduler.config.http_settings import HttpSettings, host_and_port
from scheduler.domain.errors import AddressTaken

_BACKLOG = 512


def listen(settings: HttpSettings) -> socket.socket:
    """
    Return a socket that listens where the settings say; raises AddressTaken with the way out.

    A Unix socket is its user's alone. One that nobody listens on any more is replaced.
    """
    try:
        taken = _listen_unix(settings) if settings.socket_path else _listen_tcp(settings)
    except OSError as error:
        raise AddressTaken(_why(settings, error)) from None
    taken.setblocking(False)
    return taken


def from_systemd(environ: Mapping[str, str]) -> socket.socket | None:
    """Return the socket that systemd has handed to this process, if any (sd_listen_fds(3))."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environ.get("LISTEN_FDS") != "1":
        raise AddressTaken("http: systemd hands over several sockets: name one in the socket unit")
    return adopted(_FIRST_OF_SYSTEMD)


def adopted(number: int) -> socket.socket:
    """Return the socket behind a descriptor that another process has handed over."""
    taken = socket.socket(fileno=number)
    taken.setblocking(False)
    return taken


_FIRST_OF_SYSTEMD = 3


def close(taken: socket.socket, address: str) -> None:
    """Listen no more at *address*, as `url_of` has it; a Unix socket's name goes with it."""
    taken.close()
    if address.startswith("unix:/"):
        with suppress(OSError):
            Path(address.removeprefix("unix:")).unlink()


def url_of(taken: socket.socket) -> str:
    """Return how the server on that socket is reached, without a / at its end."""
    name = taken.getsockname()
    if taken.family == socket.AF_UNIX:
        return f"unix:{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _listen_tcp(settings: HttpSettings) -> socket.socket:
    host, port = host_and_port(settings.listen)
    host = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _listen_unix(settings: HttpSettings) -> socket.socket:
    path = Path(settings.socket_path or "")
    _remove_stale(path)
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            taken.bind(str(path))
        finally:
            os.umask(before)
        taken.listen(_BACKLOG)
    except OSError:
        taken.close()
        raise
    return taken


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on; whatever else is there stays, and is told."""
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise FileExistsError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


_WAYS_OUT = {
    errno.EADDRINUSE: "another program has it: stop that one, or say another [http] listen",
    errno.EADDRNOTAVAIL: "it is no address of this machine: say another [http] listen",
    errno.EACCES: "this user may not: say a port above 1023, or a folder that it may write",
    errno.EPERM: "this user may not: say a port above 1023, or a folder that it may write",
    errno.ENOENT: "does its folder exist?",
    errno.EEXIST: "there is a file that is no socket: remove it, or say another [http] listen",
}


def _why(settings: HttpSettings, error: OSError) -> str:
    hint = _WAYS_OUT.get(error.errno or 0, (error.strerror or str(error)).lower())
    return f"http: {settings.listen} cannot be had: {hint}"
