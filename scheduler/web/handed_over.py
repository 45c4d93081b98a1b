"""What a server is given by who starts it: a socket, and by a daemon a line to it as well."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from scheduler.config import HttpSettings
from scheduler.web.sockets import adopted, from_systemd, listen

WAKE: Final = b"w"
"""What a server writes to its news when a row was written."""

BEAT: Final = b"b"
"""What it writes while its loop turns."""

_NICER: Final = 5
_END_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class HandedOver:
    """
    The socket to listen on, and the *news* that a daemon reads; None beside any daemon.

    With a daemon, standard input ends when the daemon does.
    """

    listening: socket.socket
    news: int | None = None
    is_own: bool = False
    relay: socket.socket | None = None
    """Over which questions for the upstream are handed to the daemon."""

    def wake(self) -> None:
        """Tell the daemon that a row was written; a hint, and lost where nobody reads."""
        self._say(WAKE)

    def beat(self) -> None:
        """Tell the daemon that the loop turns."""
        self._say(BEAT)

    def _say(self, word: bytes) -> None:
        if self.news is not None:
            with suppress(OSError):
                os.write(self.news, word)

    def follow_daemon(self, stop: Callable[[], None], grace: float) -> None:
        """Call *stop* in the loop once the daemon is gone, and end for certain some time later."""
        if self.news is None:
            return
        loop = asyncio.get_running_loop()

        def wait() -> None:
            while os.read(0, 4096):
                pass
            with suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(stop)
            timer = threading.Timer(grace + _END_SECONDS, os._exit, (1,))
            timer.daemon = True
            timer.start()

        threading.Thread(target=wait, name="daemon", daemon=True).start()


def handed_over(
    settings: HttpSettings, environ: Mapping[str, str], descriptors: str | None
) -> HandedOver:
    """Return the daemon's, or systemd's, socket, or take one; raises AddressTaken."""
    if descriptors is not None:
        listening, news, relay = map(int, descriptors.split(","))
        os.set_blocking(news, False)
        with suppress(OSError):  # a unit may forbid it
            os.nice(_NICER)
        return HandedOver(adopted(listening), news, relay=socket.socket(fileno=relay))
    if (taken := from_systemd(environ)) is not None:
        return HandedOver(taken)
    return HandedOver(listen(settings), is_own=True)
