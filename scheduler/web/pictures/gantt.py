"""One run from when it was due to when it ended: who waited for whom, and how long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from scheduler.web.pictures.axes import clock_marks, time_axis
from scheduler.web.pictures.frame import WIDTH, Key, Picture, Table, image, key, nothing
from scheduler.web.pictures.human import duration_words
from scheduler.web.pictures.scale import TimeScale
from scheduler.web.pictures.svg import LETTER, Svg, group, join, line, rect, tag, title, words

_ROW: Final = 24
_LEFT: Final = 150
_TOP: Final = 22


class SpanKind(StrEnum):
    """Whose time it is, and so its colour and its pattern."""

    WAITING = "waiting"  # in our queue
    SENDING = "sending"  # on the wire, or looked for
    STARTING = "starting"  # accepted, and the crawl not begun
    CRAWLING = "crawling"  # the upstream's own work
    AFTER = "after"  # ended upstream, and not yet seen by us


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the run's life; *end* is None while it lasts."""

    says: str
    kind: SpanKind
    start: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A moment that was promised, or that matters: due, the start, the deadline."""

    says: str
    at: datetime


def draw_gantt(
    spans: Sequence[Span], moments: Sequence[Moment], *, now: datetime, zone: ZoneInfo
) -> Picture:
    """Return a row per stretch, and one for each moment; what lasts is open at its right."""
    if not spans and not moments:
        return nothing("nothing has happened yet", _COLUMNS)
    scale = _scale(spans, moments, now)
    foot = _TOP + _ROW * (len(spans) + len(moments))
    rows = [_span(span, _TOP + _ROW * place, scale, now) for place, span in enumerate(spans)]
    places = enumerate(moments, start=len(spans))
    rows += [_moment(moment, _TOP + _ROW * place, scale, zone) for place, moment in places]
    says = "; ".join(f"{span.says} {_length(span, now)}" for span in spans) or moments[0].says
    svg = image(
        time_axis(scale, zone, top=_TOP, foot=foot, most=8),
        clock_marks(scale, zone, top=_TOP, foot=foot),
        *rows,
        *_now(scale, now, foot),
        says=says,
        height=foot + 24,
        class_="picture gantt",
    )
    return Picture(
        svg=svg, says=says, legend=_legend(spans, moments), table=_table(spans, moments, now, zone)
    )


def _scale(spans: Sequence[Span], moments: Sequence[Moment], now: datetime) -> TimeScale:
    """Span all that happened; a moment far off, such as a distant deadline, is at the end."""
    starts = [span.start for span in spans] or [moment.at for moment in moments]
    ends = [span.end or now for span in spans] or starts
    begin, finish = min(starts), max([*starts, *ends])
    length = max(finish - begin, timedelta(seconds=1))
    near = [moment.at for moment in moments if begin - length <= moment.at <= finish + 2 * length]
    begin, finish = min([begin, *near]), max([finish, *near])
    margin = max(finish - begin, timedelta(seconds=1)) / 25
    return TimeScale(begin - margin, finish + margin, _LEFT, WIDTH - 8)


def _length(span: Span, now: datetime) -> str:
    seconds = ((span.end or now) - span.start).total_seconds()
    return duration_words(max(0.0, seconds)) + ("" if span.end else " so far")


def _span(span: Span, top: float, scale: TimeScale, now: datetime) -> Svg:
    left, right = scale.place(span.start), scale.place(max(span.start, span.end or now))
    width = max(right - left, 2.0)
    text = _length(span, now)
    told = title(f"{span.says}: {text}")
    open_end = (
        [] if span.end else [line(left + width, top + 2, left + width, top + 20, class_="open")]
    )
    return group(
        words(_LEFT - 8, top + 15, span.says, anchor="end", class_="name"),
        rect(left, top + 4, width, _ROW - 8, told, class_=f"g-{span.kind}"),
        *open_end,
        _beside(left, left + width, top + 15, text, scale),
    )


def _beside(left: float, right: float, y: float, text: str, scale: TimeScale) -> Svg:
    """Return a length right of its bar; where there is no room left of it, or within."""
    wide = len(text) * LETTER + 6
    if right + wide <= scale.end:
        return words(right + 5, y, text)
    if left - wide >= scale.start:
        return words(left - 5, y, text, anchor="end")
    return words((left + right) / 2, y, text, anchor="middle", class_="on-bar")


def _moment(moment: Moment, top: float, scale: TimeScale, zone: ZoneInfo) -> Svg:
    x, y = scale.place(moment.at), top + _ROW / 2
    is_far = not scale.begin <= moment.at <= scale.finish
    text = f"{moment.at.astimezone(zone):%H:%M:%S}" if not is_far else _far(moment, zone)
    told = title(f"{moment.says}: {moment.at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}")
    diamond = tag("path", told, d=f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6-6z", class_="moment")
    return group(
        words(_LEFT - 8, top + 15, moment.says, anchor="end", class_="name"),
        diamond,
        _beside(x - 6, x + 6, top + 15, text, scale),
    )


def _far(moment: Moment, zone: ZoneInfo) -> str:
    return f"{moment.at.astimezone(zone):%d %b %H:%M}, beyond this picture"


def _now(scale: TimeScale, now: datetime, foot: float) -> Iterable[Svg]:
    if scale.begin <= now <= scale.finish:
        x = scale.place(now)
        yield join(
            line(x, _TOP - 6, x, foot, class_="now"),
            words(x, _TOP - 10, "now", anchor="middle", class_="now-word"),
        )


_MEANINGS: Final = {
    SpanKind.WAITING: "waits here",
    SpanKind.SENDING: "on the wire",
    SpanKind.STARTING: "accepted, not begun",
    SpanKind.CRAWLING: "crawls",
    SpanKind.AFTER: "ended, not seen yet",
}


def _legend(spans: Iterable[Span], moments: Sequence[Moment]) -> tuple[Key, ...]:
    kinds = {span.kind for span in spans}
    bars = tuple(
        key(rect(0, 1, 16, 10, class_=f"g-{kind}"), means)
        for kind, means in _MEANINGS.items()
        if kind in kinds
    )
    diamond = key(tag("path", d="M8 0l6 6l-6 6l-6-6z", class_="moment"), "a moment")
    return (*bars, *((diamond,) if moments else ()))


_COLUMNS: Final = ("what", "from", "to", "took")


def _table(
    spans: Iterable[Span], moments: Iterable[Moment], now: datetime, zone: ZoneInfo
) -> Table:
    def written(moment: datetime) -> str:
        return (
            f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S.%f}"[:-3]
            + f"{moment.astimezone(zone): %Z}"
        )

    rows = [
        (span.says, written(span.start), written(span.end) if span.end else "–", _length(span, now))
        for span in spans
    ]
    rows += [(moment.says, written(moment.at), "", "") for moment in moments]
    return Table(_COLUMNS, tuple(rows))
