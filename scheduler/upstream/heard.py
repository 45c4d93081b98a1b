"""What came back from one exchange, and how its words are made fit to be stored and shown."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from scheduler.upstream.fields import read_json

Scrub = Callable[[str], str]

_LONGEST_WORDS: Final = 500
_LONGEST_PAUSE: Final = timedelta(days=1)
_TEXT_FIELDS: Final = ("error", "message", "detail", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """
    One exchange, over. *status* is None if not even a status line came.

    *flaw* says why the exchange did not come to its regular end; *left* tells whether any byte
    of a gated request was written. *headers* are asked for in lower case. *scrub* takes secrets
    out of what the upstream wrote: it may echo what it was sent.
    """

    heard_at: datetime
    left: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    flaw: str | None = None
    scrub: Scrub = field(default=str, repr=False)

    def clock_difference(self) -> timedelta | None:
        """Return how far the upstream's clock is ahead of ours; None if it does not tell."""
        told = _http_date(self.headers.get("date", ""))
        return None if told is None else told - self.heard_at

    def words(self) -> str:
        """Return what the body says: its error's text, or its beginning, on one line."""
        text = _error_text(read_json(self.body)) or self.body.decode(errors="replace").strip()
        return one_line(self.scrub(text))

    def summary(self) -> str:
        """Say in one line what was seen: status, flaw, kind of body, and its words."""
        if self.status is None:
            return self.flaw or "no answer"
        kind = one_line(self.scrub(self.headers.get("content-type", "no content type")))[:60]
        flaw = f", then: {self.flaw}" if self.flaw else ""
        seen = f"answered {self.status}{flaw} ({kind}, {len(self.body)} bytes)"
        words = self.words()
        return f"{seen}: {words}" if words else seen

    def retry_after(self) -> timedelta | None:
        """Return the pause that the upstream asks for, in seconds or until a date; or None."""
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,20}", text):
            return timedelta(seconds=min(int(text), _LONGEST_PAUSE.total_seconds()))
        until = _http_date(text)
        if until is None:
            return None
        # By the upstream's own clock if it tells the time, so that ours may be wrong.
        pause = until - (_http_date(self.headers.get("date", "")) or self.heard_at)
        return max(timedelta(), min(pause, _LONGEST_PAUSE))


def one_line(text: str) -> str:
    """Return at most 500 characters of *text*, with nothing in it that a terminal obeys."""
    escaped = "".join(char if char.isprintable() else _escaped(char) for char in text[:2000])
    return escaped[:_LONGEST_WORDS]


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _error_text(value: object) -> str | None:
    """Return the text of an error: DCA, 1 documents `{"error": text}`; others nest it once."""
    found = _first_field(value)
    text = _first_field(found) if isinstance(found, dict) else found
    return text if isinstance(text, str) else None


def _first_field(value: object) -> object:
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in _TEXT_FIELDS if value.get(name)), None)


@lru_cache  # it tells the time in every answer, and seconds are long
def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
