"""The only HTTP client: one account's way to the upstream (DCA)."""

from scheduler.upstream.client import Dca

__all__ = ["Dca"]
