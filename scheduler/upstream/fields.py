"""Single values out of the upstream's JSON. None of them raises, whatever stands there."""

import json
from datetime import UTC, datetime
from typing import Final

_LONGEST_ID: Final = 200
_LARGEST_COUNT: Final = 2**53


def read_json(body: bytes | str) -> object:
    """Return the value that *body* holds, whole; None if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def read_id(value: object) -> str | None:
    """Return *value* if it can be an id: text that can be stored, shown and asked for."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_ID:
        return None
    return value if value.isprintable() and value.strip() == value else None


def read_text(value: object) -> str | None:
    """Return *value* if it is text that can be stored."""
    # PostgreSQL stores no NUL, and nothing stores half a surrogate pair.
    if not isinstance(value, str) or "\0" in value or not _is_encodable(value):
        return None
    return value


def read_word(value: object) -> str | None:
    """Return *value* if it is a short word such as a status."""
    return value if isinstance(value, str) and len(value) < 64 and value.isprintable() else None


def read_count(value: object) -> int | None:
    """Return *value* if it is a number of things."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # The range also keeps NaN and the infinities out.
    if not 0 <= value <= _LARGEST_COUNT or value != int(value):
        return None
    return int(value)


def read_rate(value: object) -> float | None:
    """Return *value* if it is a share from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def read_moment(value: object) -> datetime | None:
    """Return *value* if it is an ISO 8601 moment; without a zone it is UTC, as all others are."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
