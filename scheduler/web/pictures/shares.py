"""A bar for each of several: what is used, what it will come to, and a limit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from scheduler.web.pictures.frame import WIDTH, Picture, Table, image, key, nothing
from scheduler.web.pictures.human import several
from scheduler.web.pictures.svg import Svg, fit, group, line, rect, title, words

ROW: Final = 22
_NAMES: Final = 200
_VALUES: Final = 170
_TOP: Final = 6
_LETTER: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What is *used*, and what the *whole* will come to in the end."""

    name: str
    used: float
    whole: float


def draw_shares(
    shares: Sequence[Share],
    *,
    what: str,
    column: str,
    say: Callable[[float], str],
    limit: float | None = None,
) -> Picture:
    """Return the picture: *what* is measured, *say* writes it; beyond *limit* a bar is red."""
    columns = (column, "used", "in the end")
    if not shares:
        return nothing("nothing is used, and nothing is to come", columns)
    most = max(*(max(share.used, share.whole) for share in shares), limit or 0.0, 1e-9)
    unit = (WIDTH - _NAMES - _VALUES) / most
    foot = _TOP + ROW * len(shares)
    rows = [_row(share, _TOP + ROW * place, unit, say, limit) for place, share in enumerate(shares)]
    over = sum(1 for share in shares if limit is not None and share.whole > limit)
    says = f"{several(len(shares), column)}: {what}, used and in the end"
    says += f"; {over} beyond" if over else ""
    at = _NAMES + unit * (limit or 0.0)
    limits = [] if limit is None else [line(at, _TOP - 3, at, foot, class_="limit")]
    svg = image(*rows, *limits, says=says, height=foot + 6, class_="picture shares")
    legend = [
        key(rect(0, 1, 16, 10, class_="shade-3"), "used, or on the way"),
        key(rect(1, 1, 14, 10, class_="planned"), "to come until the month's end"),
    ]
    if limit is not None:
        legend.append(key(rect(0, 1, 16, 10, class_="beyond"), "beyond the limit"))
        legend.append(key(line(8, 0, 8, 12, class_="limit"), f"the limit, {say(limit)}"))
    table = Table(columns, tuple((s.name, say(s.used), say(s.whole)) for s in shares))
    return Picture(svg=svg, says=says, legend=tuple(legend), table=table)


def _row(
    share: Share, top: float, unit: float, say: Callable[[float], str], limit: float | None
) -> Svg:
    used, whole = share.used * unit, max(share.used, share.whole) * unit
    name = words(_NAMES - 8, top + 15, fit(share.name, _NAMES - 12), anchor="end", class_="name")
    told = say(share.used)
    if round(share.whole) > round(share.used):
        told = f"{told} → {say(share.whole)}"
    is_beyond = limit is not None and share.used > limit
    bars = [rect(_NAMES, top + 4, used, ROW - 8, class_="beyond" if is_beyond else "shade-3")]
    if whole - used >= 1:
        bars.append(rect(_NAMES + used, top + 4.5, whole - used, ROW - 9, class_="planned"))
    # What would stand on the line of the limit begins after it.
    end, at = whole + 6, -1.0 if limit is None else limit * unit
    is_on_line = end - 6 <= at <= end + _LETTER * len(told)
    value = words(_NAMES + (at + 5 if is_on_line else end), top + 15, told)
    says = title(f"{share.name}: {told}")
    return group(says, name, *bars, value)
