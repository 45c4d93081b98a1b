"""Quantities as a person reads them: `1.2 s`, `3 min`, `1 h 20 min`, `12,300`."""

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_PARTS: Final = ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1, "s"))
_LARGE: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def duration_words(seconds: float) -> str:
    """Write a duration in two units at most; what is below a second in milliseconds."""
    if seconds < 0:
        return f"−{duration_words(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, name, smaller, smaller_name in _PARTS:
        if whole >= unit:
            count, rest = divmod(whole, unit)
            rest = rest // smaller if count < 10 or unit != _DAY else 0
            return f"{count:,} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def count_words(count: float) -> str:
    """Write a number whole, with its thousands apart; a fraction only below ten."""
    if count == int(count) or abs(count) >= 10:
        return f"{round(count):,}".replace("-", "−")
    return f"{count:.1f}".replace("-", "−")


def short_count(count: float) -> str:
    """Write a number for an axis: `12k`, `3.4M`."""
    for unit, name in _LARGE:
        if abs(count) >= unit:
            return f"{count / unit:.1f}".removesuffix(".0").replace("-", "−") + name
    return count_words(count)


def several(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: `1 run`, `2 runs`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
