"""What is allowed in a timetable but seldom meant, in sentences."""

import re
from collections.abc import Iterator, Mapping

from scheduler.domain.durations import parse_duration
from scheduler.domain.timetable.crontab import Crontab, parse_crontab
from scheduler.domain.timetable.crontab_fields import FIELDS
from scheduler.domain.timetable.spec import TimetableSpec

_WHOLE_STEP = re.compile(r"\*/(?P<step>[0-9]+)")
_OPEN_STEP = re.compile(r"(?P<first>\w+)/(?P<step>[0-9]+)", re.ASCII)
_EVERY_HOUR = re.compile(r"0-23(/1)?")
_FEW = 3


def lint(spec: TimetableSpec) -> list[str]:
    """Return sentences of warning about *spec* alone; raises InvalidInput for bad crontab text."""
    if spec.cron is not None:
        crontabs = parse_crontab(spec.cron, name="")
        return [sentence for crontab in crontabs for sentence in _lint_crontab(crontab)]
    return list(_lint_delays(spec))


def lint_together(specs: Mapping[str, TimetableSpec]) -> list[str]:
    """Return warnings about schedules, by name, as a whole: most of them at the top of the hour."""
    timed = {name: spec for name, spec in specs.items() if spec.cron is not None}
    on_the_hour = [name for name, spec in timed.items() if _fires_on_the_hour(name, spec)]
    if len(on_the_hour) < _FEW or 2 * len(on_the_hour) <= len(timed):
        return []
    names = ", ".join(on_the_hour[:_FEW]) + (", …" if len(on_the_hour) > _FEW else "")
    return [
        f"{len(on_the_hour)} of {len(timed)} schedules fire at minute 0 ({names}):"
        " write H for the minute, or set spread, so that they do not all start at once"
    ]


def _fires_on_the_hour(name: str, spec: TimetableSpec) -> bool:
    crontabs = parse_crontab(spec.cron or "", name=name)
    return spec.spread is None and all(crontab.fields[0] == "0" for crontab in crontabs)


def _lint_crontab(crontab: Crontab) -> Iterator[str]:
    sentences = [
        *_lint_day_fields(crontab),
        *_lint_steps(crontab),
        *_lint_late_days(crontab),
        *_lint_listed_hours(crontab),
    ]
    yield from (f"cron {crontab.text!r}: {sentence}" for sentence in sentences)


def _lint_day_fields(crontab: Crontab) -> Iterator[str]:
    _, _, day, _, weekday = crontab.fields
    if "*" in (day, weekday):
        return
    if day.startswith("*") or weekday.startswith("*"):
        yield "both day fields are set and one starts with *: only days that fit both count"
    else:
        yield "both day fields are set: days that fit either count, not only those that fit both"


def _lint_steps(crontab: Crontab) -> Iterator[str]:
    for field, text in zip(FIELDS, crontab.fields, strict=True):
        # A week has seven days, though Sunday has two numbers.
        size = 7 if field.name == "day of week" else field.high - field.low + 1
        for item in text.split(","):
            if match := _WHOLE_STEP.fullmatch(item):
                yield from _lint_whole_step(field.name, item, int(match["step"]), size)
            elif match := _OPEN_STEP.fullmatch(item):
                meant = f"{match['first']}-{field.high}/{match['step']}"
                yield f"{field.name} {item} is read as {meant}; Debian cron refuses it: write that"


def _lint_whole_step(field: str, item: str, step: int, size: int) -> Iterator[str]:
    if step >= size:
        yield f"{field} {item} steps past the end of the field: only its first value counts"
    elif step > 1 and (field == "day of month" or size % step):
        yield f"{field} {item} starts anew with each round of the field: the last step is shorter"


def _lint_late_days(crontab: Crontab) -> Iterator[str]:
    _, _, day, month, weekday = crontab.fields
    if day in {"29", "30", "31"} and (month, weekday) == ("*", "*"):
        yield (
            f"months without day {day} are left out: for their last day instead write"
            f' calendar_interval = "month on {day}"'
        )


def _lint_listed_hours(crontab: Crontab) -> Iterator[str]:
    minute, hour, *_ = crontab.fields
    if not minute.startswith("*") and _EVERY_HOUR.fullmatch(hour):
        yield (
            f"hour {hour} lists each hour, so the hour that comes twice in autumn fires once:"
            " write * to keep real time"
        )


def _lint_delays(spec: TimetableSpec) -> Iterator[str]:
    if spec.every is None:
        return
    for field, text in (("jitter", spec.jitter), ("spread", spec.spread)):
        if text is not None and parse_duration(text) >= parse_duration(spec.every):
            yield f"{field} {text} reaches past every {spec.every}: it is cut at the next slot"
