"""The only HTTP client: one account's way to the upstream (DCA)."""

from scheduler.upstream.client import NOT_PASSED_ON, Dca
from scheduler.upstream.dataset import read_message, unwrapped
from scheduler.upstream.row_stream import RowStream
from scheduler.upstream.transport import UpstreamTransport
from scheduler.upstream.wire import Wire

__all__ = [
    "NOT_PASSED_ON",
    "Dca",
    "RowStream",
    "UpstreamTransport",
    "Wire",
    "read_message",
    "unwrapped",
]
