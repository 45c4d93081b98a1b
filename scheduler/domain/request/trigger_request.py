"""What leaves this machine for one run."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import quote, urlencode

_LARGE: Final = 1024**2
_SLOWEST: Final = 1024**2


class Pieces(Protocol):
    """A body that is read while it is sent, *length* bytes in all."""

    length: int

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read it, from its beginning; raises where it cannot be read to its end."""


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """
    One trigger, exactly as it is sent: secrets are expanded.

    Its repr shows neither the parameters nor the body, because both may hold secrets.
    """

    params: tuple[tuple[str, str], ...] = field(repr=False)
    content_type: str
    body: bytes | Pieces = field(repr=False)


def time_to_send(byte_count: int) -> timedelta:
    """Return how much longer than others a large request may take: a second for each MiB."""
    return timedelta(seconds=byte_count / _SLOWEST) if byte_count > _LARGE else timedelta()


def query_string(params: Iterable[tuple[str, str]]) -> str:
    """Write *params* percent-encoded, as they stand in the request line (a space is %20)."""
    return urlencode(tuple(params), quote_via=quote)
