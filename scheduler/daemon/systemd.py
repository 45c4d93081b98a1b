"""Messages to systemd (sd_notify(3)): nothing is sent, and nothing fails, where there is none."""

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()


@dataclass(slots=True)
class Notifier:
    """Sends state changes to the socket in $NOTIFY_SOCKET, if that is set."""

    address: str | None
    _failed: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Notifier":
        """Return the notifier that the environment names."""
        return cls(environ.get("NOTIFY_SOCKET") or None)

    def ready(self) -> None:
        """Say that the first passes are done."""
        self._send("READY=1")

    def reloading(self, monotonic_seconds: float) -> None:
        """Say that the configuration is being read again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(monotonic_seconds * 1_000_000)}")

    def stopping(self) -> None:
        """Say that no more work is begun."""
        self._send("STOPPING=1")

    def status(self, line: str) -> None:
        """Show one line in `systemctl status`."""
        self._send(f"STATUS={' '.join(line.split())}")

    def held(self, line: str) -> None:
        """Show one line, and ask for more time before this start is taken for a failed one."""
        self.status(line)
        self._send("EXTEND_TIMEOUT_USEC=60000000")

    def watchdog(self) -> None:
        """Say that the loops are alive."""
        self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if self.address is None:
            return
        # A leading @ names a socket in the abstract namespace.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(1)
                channel.sendto(message.encode(), address)
        except OSError as error:
            if not self._failed:
                log.warning("systemd_not_told", error=os.strerror(error.errno or 0))
            self._failed = True
        else:
            self._failed = False


@dataclass(slots=True)
class Watchdog:
    """
    Feeds the watchdog once every loop has finished a pass since it was last fed.

    No timer does: a loop that hangs starves it, and systemd starts the daemon again.
    """

    notifier: Notifier
    loops: frozenset[str]
    _seen: set[str] = field(default_factory=set)
    is_ready: bool = False

    @classmethod
    def over(cls, notifier: Notifier, loops: Iterable[str]) -> "Watchdog":
        """Watch over the loops of those names."""
        return cls(notifier, frozenset(loops))

    def passed(self, loop: str) -> None:
        """Note that a loop has finished a pass; the first round means that the daemon is ready."""
        self._seen.add(loop)
        if self._seen < self.loops:
            return
        self._seen.clear()
        if not self.is_ready:
            self.is_ready = True
            self.notifier.ready()
        self.notifier.watchdog()
