"""A line to a PostgreSQL server that can be cut without a word, or looks like a pooler's."""

import socket
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit


class Line:
    """
    Passes bytes between clients and the server of *url*, through a socket in *folder*.

    With *is_pooler* it gives clients a process id that is not the server's, as poolers do.
    """

    def __init__(self, url: str, folder: Path, *, is_pooler: bool = False) -> None:
        parts = urlsplit(url)
        self._server = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
        self.url = f"postgresql://{parts.netloc}{parts.path}?host={folder}"
        self._is_pooler = is_pooler
        self._is_cut = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(f"{folder}/.s.PGSQL.5432")
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Swallow from now on whatever either side says, and tell neither."""
        self._is_cut.set()

    def mend(self) -> None:
        """Let new connections through; the old ones stay cut."""
        self._is_cut = threading.Event()

    def close(self) -> None:
        """End everything."""
        for one in (self._listening, *self._sockets):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            self._sockets += [client, server]
            for ends in ((client, server), (server, client)):
                is_first = self._is_pooler and ends[0] is server
                threading.Thread(
                    target=self._pump, args=(*ends, self._is_cut, is_first), daemon=True
                ).start()

    def _pump(
        self, here: socket.socket, there: socket.socket, is_cut: threading.Event, renames: bool
    ) -> None:
        try:
            while data := here.recv(65536):
                if renames and b"K\0\0\0\x0c" in data:
                    at, renames = data.index(b"K\0\0\0\x0c") + 5, False
                    data = data[:at] + b"\0\0\0\1" + data[at + 4 :]
                if not is_cut.is_set():
                    there.sendall(data)
            there.shutdown(socket.SHUT_WR)
        except OSError:
            return
