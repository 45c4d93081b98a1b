"""Single values out of the upstream's JSON. None of them raises, whatever stands there."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Final

_DECODE: Final = json.JSONDecoder().decode
_LONGEST_ID: Final = 200
_LARGEST_COUNT: Final = 2**53
_NUMBER: Final = re.compile(r"\d{1,16}(?:\.\d{1,20})?|\d{1,3}(?:,\d{3}){1,5}")


def read_json(body: bytes | str) -> object:
    """Return the value that *body* holds, whole; None if it is not JSON."""
    try:
        if isinstance(body, bytes) and body.isascii() and b"\0" not in body:
            return _DECODE(body.decode())  # json would look for its encoding
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def read_answer(value: object) -> Mapping[str, object]:
    """Return the fields of a whole answer, as `read_fields`; its object may be alone in a list."""
    return read_fields(value[0] if isinstance(value, list) and len(value) == 1 else value)


def read_fields(value: object) -> Mapping[str, object]:
    """
    Return the fields of *value* by their names in lower case, without `_`, `-` and blanks.

    The vendor's own pages write `pages_left` and `Pages_left` for one thing. What is wrapped in
    `data` is taken out; no object has no fields.
    """
    fields = _fold(value)
    inner = fields.get("data")
    is_wrapped = isinstance(inner, dict) and inner and not fields.get("error")
    return _fold(inner) if is_wrapped else fields


def _fold(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        return {}
    fields = {_plain(name): item for name, item in value.items()}
    if len(fields) < len(value):
        # A name that is written as documented goes before one that is not.
        odd_first = sorted(value, key=lambda name: name == name.lower())
        fields = {_plain(name): value[name] for name in odd_first}
    return fields


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


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


def read_error(fields: Mapping[str, object]) -> str | None:
    """Return the error that a row tells, on one line: its code, or else its words (DCA, 2)."""
    for name in ("errorcode", "error"):
        text = read_text(fields.get(name))
        if text is not None and text.strip():
            words = " ".join(text.split())
            return "".join(char for char in words if char.isprintable())[:_LONGEST_ERROR]
    return None


_LONGEST_ERROR: Final = 200


def read_word(value: object) -> str | None:
    """Return *value* if it is a short word such as a status."""
    return value if isinstance(value, str) and len(value) < 64 and value.isprintable() else None


def read_count(value: object) -> int | None:
    """Return *value* if it is a number of things, as a number or as text."""
    number = _read_number(value)
    # The range also keeps NaN and the infinities out.
    if number is None or not 0 <= number <= _LARGEST_COUNT or number != int(number):
        return None
    return int(number)


def read_flag(value: object) -> bool | None:
    """Return *value* if it says yes or no, as a word or a number, too."""
    text = str(value).strip().lower()
    return True if text in ("true", "1", "yes") else False if text in ("false", "0", "no") else None


def read_rate(value: object) -> float | None:
    """Return *value* if it is a share: from 0 to 1, or in percent with its sign or above 1."""
    if isinstance(value, str) and value.strip().endswith("%"):
        percent = _read_number(value.strip()[:-1])
        return percent / 100 if percent is not None and 0 <= percent <= 100 else None
    number = _read_number(value)
    if number is None or not 0 <= number <= 100:
        return None
    return float(number) if number <= 1 else number / 100


def _read_number(value: object) -> int | float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        text = value.strip().replace(",", "")
        return float(text) if "." in text else int(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def read_number(value: object) -> float | None:
    """Return *value* if it is a number that can be reckoned with."""
    number = _read_number(value)
    return float(number) if number is not None and isfinite(number) else None


def read_moment(value: object) -> datetime | None:
    """Return *value* if it is an ISO 8601 moment; without a zone it is UTC, as all others are."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
