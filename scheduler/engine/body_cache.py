"""The bodies of the runs that are sent, kept from one pass to the next."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from scheduler.domain.records import StoredBody
from scheduler.storage import definitions
from scheduler.storage.database import Connection

_MOST: Final = 64
_MOST_BYTES: Final = 64 * 1024**2


@dataclass(slots=True)
class BodyCache:
    """Holds up to 64 bodies and 64 MiB, but always the last one that was asked for."""

    _kept: OrderedDict[str, StoredBody] = field(default_factory=OrderedDict)

    def get(self, conn: Connection, fingerprint: str) -> StoredBody:
        """Return a body that is stored: one never changes."""
        if fingerprint not in self._kept:
            self._kept[fingerprint] = definitions.get_body(conn, fingerprint)
            self._forget()
        self._kept.move_to_end(fingerprint)
        return self._kept[fingerprint]

    def _forget(self) -> None:
        byte_count = sum(body.held_bytes for body in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > _MOST or byte_count > _MOST_BYTES):
            byte_count -= self._kept.popitem(last=False)[1].held_bytes
