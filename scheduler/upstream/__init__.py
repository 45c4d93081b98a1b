"""The only HTTP client: one account's way to the upstream (DCA)."""

from scheduler.upstream.client import NOT_PASSED_ON, Dca
from scheduler.upstream.transport import UpstreamTransport, Wire

__all__ = ["NOT_PASSED_ON", "Dca", "UpstreamTransport", "Wire"]
