"""What came back from one exchange, and how its words are made fit to be stored and shown."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from scheduler.clock import Clock
from scheduler.upstream.fields import read_fields, read_json

Redact = Callable[[str], str]

_LONGEST_WORDS: Final = 500
_LONGEST_PAUSE: Final = timedelta(days=1)
_USER: Final = re.compile(r"//[^/@]*@")
_TEXT_FIELDS: Final = ("error", "message", "detail", "description")


@dataclass(slots=True, kw_only=True)  # one for each trigger: frozen, it takes four times as long
class Response:
    """
    One exchange, over. *status* is None if not even a status line came.

    *failure* says why the exchange did not come to its regular end; *left* tells whether any byte
    of a guarded request was written. *headers* are asked for in lower case. *redact* takes secrets
    out of what the upstream wrote: it may echo what it was sent.
    """

    clock: Clock
    left: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    failure: str | None = None
    redact: Redact = field(default=str, repr=False)

    @property
    def is_the_upstreams(self) -> bool:
        """
        Tell whether the upstream itself speaks: its errors are JSON objects (DCA, 1).

        A page in HTML or plain text, or nothing at all, is some gateway's before it, and says
        nothing about a token, a collector or a collection.
        """
        return self.body.removeprefix(BOM_UTF8).lstrip().startswith(b"{")

    @property
    def refuses_credentials(self) -> bool:
        """Tell whether the upstream refuses the token or the account."""
        return self.status in (401, 403) and self.is_the_upstreams

    def told_time(self) -> datetime | None:
        """Return what the upstream's clock showed; None if it does not tell."""
        return _http_date(self.headers.get("date", ""))

    def words(self) -> str:
        """Return what the body says: its error's text, or its beginning, on one line."""
        text = _error_text(read_json(self.body)) or self.body.decode(errors="replace").strip()
        return one_line(self.redact(text))

    def summary(self) -> str:
        """Say in one line what was seen: status, failure, kind of body, and its words."""
        if self.status is None:
            return self.failure or "no answer"
        kind = one_line(self.redact(self.headers.get("content-type", "no content type")))[:60]
        failure = f", then: {self.failure}" if self.failure else ""
        seen = (
            f"answered {self.status}{self._elsewhere()}{failure} ({kind}, {len(self.body)} bytes)"
        )
        words = self.words()
        return f"{seen}: {words}" if words else seen

    def _elsewhere(self) -> str:
        """Tell where a redirect leads, without its query: nothing is followed."""
        location = self.headers.get("location", "").strip()
        if self.status is None or not 300 <= self.status < 400 or not location:
            return ""
        address = _USER.sub("//", re.split(r"[?#]", location, maxsplit=1)[0])
        return f" to {one_line(self.redact(address))[:200]}, which is not followed"

    def retry_after(self) -> timedelta | None:
        """Return the pause that the upstream asks for, in seconds or until a date; or None."""
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,20}", text):
            return timedelta(seconds=min(int(text), _LONGEST_PAUSE.total_seconds()))
        until = _http_date(text)
        if until is None:
            return None
        # By the upstream's own clock if it tells the time, so that ours may be wrong.
        pause = until - (_http_date(self.headers.get("date", "")) or self.clock())
        return max(timedelta(), min(pause, _LONGEST_PAUSE))


def one_line(text: str) -> str:
    """Return at most 500 characters of *text*, with nothing in it that a terminal obeys."""
    escaped = "".join(char if char.isprintable() else _escaped(char) for char in text[:2000])
    return escaped[:_LONGEST_WORDS]


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _error_text(value: object) -> str | None:
    """Return the text of an error: DCA, 1 documents `{"error": text}`; others nest it once."""
    text = _first_field(value)
    text = _first_field(text) if isinstance(text, dict) else text
    return text if isinstance(text, str) else None


def _first_field(value: object) -> object:
    fields = read_fields(value)
    return next((fields[name] for name in _TEXT_FIELDS if fields.get(name)), None)


@lru_cache  # it tells the time in every answer, and seconds are long
def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
