"""What is counted of the requests: which call it was, and what class of answer came."""

from collections.abc import Callable
from functools import lru_cache

from scheduler.upstream.response import Response
from scheduler.upstream.wire import SendGuard

Observe = Callable[[str, str, float], None]
"""Is told a request's call, its class and its seconds, the wait for a connection included."""


def unobserved(_: str, __: str, ___: float) -> None:
    """Count nothing."""


def call_of(path: str) -> str:
    """Return what a path of the upstream asks for, without ids: `trigger`, `log`, `jobs` …"""
    return _call_of(path.partition("?")[0])


@lru_cache(maxsize=64)  # nearly always a trigger
def _call_of(path: str) -> str:
    if not path.startswith("/dca/"):
        return path.split("/")[-1] if path.startswith("/customer/") else path.split("/")[1]
    first, *rest = path.removeprefix("/dca/").split("/")
    if first == "collector":
        return rest[0]
    return rest[-1] if first == "jobs" else first


def class_of(response: Response, guard: SendGuard | None) -> str:
    """
    Return `2xx`, `3xx`, `4xx`, `5xx`, or `429` apart.

    Where no answer came: `unsent` for a trigger that has not left, else `lost`.
    """
    if response.status is None:
        return "unsent" if guard is not None and not response.left else "lost"
    return "429" if response.status == 429 else f"{response.status // 100}xx"
