"""Who may pass, and how often: tokens, throttling, and the block for too many 429s (DCA, 1)."""

from collections import defaultdict, deque
from datetime import datetime, timedelta

from scheduler.sandbox.answers import Answer, SandboxCall, error_answer
from scheduler.sandbox.settings import SandboxSettings

_BLOCK_COUNT = 25
_BLOCK_WINDOW = timedelta(minutes=5)


class Gate:
    """
    What stands before every call.

    The document does not say what a blocked address is answered; here it is 403, on every
    endpoint, until the sandbox is reset (the human at the vendor).
    """

    def __init__(self, settings: SandboxSettings) -> None:
        self._settings = settings
        self._window_began: datetime | None = None
        self._in_window = 0
        self._refusals: defaultdict[str, deque[datetime]] = defaultdict(deque)
        self._blocked: set[str] = set()

    def blocked(self, peer: str) -> Answer | None:
        """Return the answer that a blocked address gets; None for any other."""
        if peer not in self._blocked:
            return None
        return error_answer(403, "This IP address is blocked: too many 429 answers in 5 minutes")

    def refusal(self, call: SandboxCall, now: datetime) -> Answer | None:
        """Return why *call* may not pass (401, 403, 429); None if it may."""
        settings = self._settings
        scheme, _, token = call.authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or " " in token:
            return error_answer(401, "Missing or malformed API token")
        if token in settings.suspended_tokens:
            return error_answer(403, "Account suspended")
        if settings.tokens and token not in settings.tokens:
            return error_answer(401, "Invalid API token")
        return self._throttled(now)

    def count_refusal(self, peer: str, now: datetime) -> None:
        """Take note that *peer* was answered 429; the 25th within 5 minutes blocks it."""
        refusals = self._refusals[peer]
        refusals.append(now)
        while refusals[0] <= now - _BLOCK_WINDOW:
            refusals.popleft()
        if self._settings.block_rule and len(refusals) >= _BLOCK_COUNT:
            self._blocked.add(peer)

    def _throttled(self, now: datetime) -> Answer | None:
        settings = self._settings
        if settings.requests_per_window is None:
            return None
        if self._window_began is None or not _within(now - self._window_began, settings.window):
            self._window_began, self._in_window = now, 0
        self._in_window += 1
        if self._in_window <= settings.requests_per_window:
            return None
        return too_many_requests(settings.retry_after)


def too_many_requests(retry_after: int | None) -> Answer:
    """Return a 429, with Retry-After in seconds unless that is None."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return error_answer(429, "Too many requests", headers)


def _within(passed: timedelta, window: timedelta) -> bool:
    return timedelta() <= passed < window
