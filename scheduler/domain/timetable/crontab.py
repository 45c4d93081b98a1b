"""
Crontab text, read as Debian cron reads it; `L` and `#` as cronsim adds them, and `H`.

Where Debian cron ignores trash behind a field (`5x`, `1-5-9`), we refuse.
"""

import hashlib
import re
from dataclasses import dataclass

from scheduler.domain.errors import InvalidInput
from scheduler.domain.timetable.crontab_fields import FIELDS, Field

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ZONE = re.compile(r"(?:CRON_)?TZ=(?P<zone>\S*)\s+", re.IGNORECASE)
_SHAPE = "five fields: minute hour day-of-month month day-of-week"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crontab:
    """One checked expression: as written, and its five *fields* with `H` and macros filled in."""

    text: str
    fields: tuple[str, str, str, str, str]

    @property
    def expression(self) -> str:
        """The five fields as one line that cronsim reads with the same meaning."""
        return " ".join(self.fields)

    @property
    def follows_real_time(self) -> bool:
        """Tell whether Debian cron calls it a wildcard job: minute or hour *start with* a star."""
        minute, hour, *_ = self.fields
        return minute.startswith("*") or hour.startswith("*")


def split_expressions(text: str) -> list[str]:
    """Take crontab text apart at `;` and line breaks; blank parts are dropped."""
    return [part.strip() for part in re.split(r"[;\n]", text) if part.strip()]


def parse_crontab(text: str, *, name: str) -> tuple[Crontab, ...]:
    """
    Read every expression of *text*; *name* is the schedule's, which `H` is a stable hash of.

    Raises InvalidInput naming the expression, the field and what is allowed there.
    """
    expressions = split_expressions(text)
    if not expressions:
        raise InvalidInput(f"the cron text is empty: write {_SHAPE}, or a macro such as @daily")
    return tuple(_parse_expression(expression, name) for expression in expressions)


def _parse_expression(text: str, name: str) -> Crontab:
    if match := _ZONE.match(text):
        raise InvalidInput(
            f"cron {text!r}: the zone is a key of its own: cron = {text[match.end() :]!r},"
            f" timezone = {match['zone']!r}"
        )
    words = _expand_macro(text).upper().split()
    if len(words) != len(FIELDS):
        raise InvalidInput(f"cron {text!r} has {_count(words)}: {_advice(words)}")
    try:
        minute, hour, day, month, weekday = (
            _normalise(field, word, name) for field, word in zip(FIELDS, words, strict=True)
        )
    except InvalidInput as error:
        raise InvalidInput(f"cron {text!r}: {error}") from None
    return Crontab(text=text, fields=(minute, hour, day, month, weekday))


def _expand_macro(text: str) -> str:
    if not text.startswith("@"):
        return text
    if text.lower() == "@reboot":
        raise InvalidInput("cron '@reboot' has no time: a daemon that restarts must not fire again")
    try:
        return MACROS[text.lower()]
    except KeyError:
        macros = " ".join(MACROS)
        raise InvalidInput(f"cron {text!r} is not a macro; there are {macros}") from None


def _count(words: list[str]) -> str:
    return "1 field" if len(words) == 1 else f"{len(words)} fields"


def _advice(words: list[str]) -> str:
    if len(words) == len(FIELDS) + 1:
        return f'write {_SHAPE}; for seconds use every = "10s"'
    return f"write {_SHAPE}"


def _normalise(field: Field, word: str, name: str) -> str:
    items = [_normalise_item(field, item, name) for item in word.split(",")]
    return ",".join(items)


def _normalise_item(field: Field, item: str, name: str) -> str:
    if item.startswith("H"):
        return field.spread(item, _stable_number(name, field))
    return field.check(item)


def _stable_number(name: str, field: Field) -> int:
    digest = hashlib.sha256(f"{field.name}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8])
