"""What becomes of the rows that a run brought: where they are saved, in which form, when again."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import render_path


class ResultState(StrEnum):
    """Where the result of a run is."""

    WAITING = "waiting"  # it is to be saved
    SAVED = "saved"
    FAILED = "failed"  # nobody tries again by himself
    DISMISSED = "dismissed"  # a person did without it
    REMOVED = "removed"  # it was saved, and its file removed after `keep_saved`


class ResultReason(StrEnum):
    """Why a result is not saved."""

    NOT_READY = "not_ready"  # the upstream builds the dataset yet
    UNANSWERED = "unanswered"  # no answer, a 429, a 5xx, a refused token
    CUT_OFF = "cut_off"  # the answer ended in the middle, or stood still
    UNREADABLE = "unreadable"  # a gateway's page, or no JSON
    SHORT = "short"  # fewer rows than the upstream's log tells of
    DISK_FULL = "disk_full"
    NO_FOLDER = "no_folder"  # the folder of [results] is not there
    NOT_WRITABLE = "not_writable"
    IN_THE_WAY = "in_the_way"  # a file that is not of this run stands there
    BAD_PATH = "bad_path"  # `save_to` makes no path
    NO_STORE = "no_store"  # the object store cannot be reached, or refuses; or its extra lacks
    EXPIRED = "expired"  # the upstream has it no more
    REFUSED = "refused"  # the upstream would not
    BROKEN = "broken"  # a bug: see the log


FINAL: Final = frozenset({ResultReason.IN_THE_WAY, ResultReason.BAD_PATH, ResultReason.REFUSED})
"""What time does not heal."""

EXPIRING_BEFORE: Final = timedelta(days=4)
"""So long before the upstream forgets a result that is not saved, somebody is told."""

_TRIED_ANYWAY: Final = 3
_PAUSE_FIRST: Final = timedelta(seconds=30)
_PAUSE_LONGEST: Final = timedelta(hours=1)


class ResultFormat(StrEnum):
    """The form of a file, by the end of its name."""

    AS_IT_CAME = "json"
    LINES = "jsonl"
    CSV = "csv"


_SUFFIXES: Final = {
    ".json": ResultFormat.AS_IT_CAME,
    ".jsonl": ResultFormat.LINES,
    ".ndjson": ResultFormat.LINES,
    ".csv": ResultFormat.CSV,
}
_LONGEST_PART: Final = 200
_STORE: Final = re.compile(r"((?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]{1,62})/")
_NOT_IN_A_VALUE: Final = re.compile(r"[^\w.@+=-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultOf:
    """The run that a result is of, as far as its path tells."""

    run_id: int
    collection_id: str
    schedule: str | None
    collector: str
    due_at: datetime
    is_one_of_several: bool


@dataclass(frozen=True, slots=True)
class ResultPath:
    """
    A path below the folder of [results], and what its name says of the file.

    With a *store*, such as `s3://bucket`, it is below that, and no folder's matter.
    """

    path: PurePosixPath
    store: str | None = None

    @classmethod
    def read(cls, text: str) -> "ResultPath":
        """Read what `str` wrote."""
        found = _STORE.match(text)
        return cls(PurePosixPath(text[found.end() :] if found else text), found and found[1])

    def __str__(self) -> str:
        return f"{self.store}/{self.path}" if self.store else str(self.path)

    @property
    def is_gzip(self) -> bool:
        """Tell whether it ends in `.gz`."""
        return self.path.suffix == ".gz"

    @property
    def format(self) -> ResultFormat:
        """Return the form that its name ends in."""
        return _SUFFIXES[self._plain.suffix]

    @property
    def _plain(self) -> PurePosixPath:
        return self.path.with_suffix("") if self.is_gzip else self.path

    def numbered(self, run_id: int) -> "ResultPath":
        """Return it with the run's number in its name."""
        plain = self._plain
        rest = self.path.name.removeprefix(plain.stem)
        name = f"{plain.stem}.run-{run_id}{rest}"
        return ResultPath(self.path.with_name(name), self.store)


def render_result_path(template: str, of: ResultOf, *, zone: tzinfo) -> ResultPath:
    """
    Fill *template*; raises InvalidInput where that is no path below a folder.

    A value is one part of the path, whatever is in it. A retry, and a chunk of an occurrence, has
    the run's number in its name, so that none stands in another's way.
    """
    values = {
        "schedule": _value(of.schedule or "by-hand"),
        "collector": _value(of.collector),
        "run_id": str(of.run_id),
        "collection_id": _value(of.collection_id),
    }
    below = template[len(_store_of(template)) :]
    rendered = render_path(below, values, due_at=of.due_at.astimezone(zone))
    found = ResultPath.read(f"{_store_of(template)}{rendered}")
    _check(template, rendered, found)
    has_number = "{run_id}" in template or "{collection_id}" in template
    return found.numbered(of.run_id) if of.is_one_of_several and not has_number else found


def _store_of(template: str) -> str:
    """Return the beginning that names an object store; InvalidInput for one that is none."""
    found = _STORE.match(template)
    if found is None and (scheme := template.partition("://"))[1]:
        # Its text is not repeated: some write credentials there.
        raise InvalidInput(
            f"what begins with {scheme[0][:20]}:// is no bucket: write s3://BUCKET/…,"
            " gs://BUCKET/… or az://CONTAINER/…; credentials and options are the environment's"
        )
    return found[0] if found else ""


def _value(text: str) -> str:
    text = _NOT_IN_A_VALUE.sub("_", text)[:100]
    return f"_{text[1:]}" if text.startswith(".") else text


def _check(template: str, rendered: str, found: ResultPath) -> None:
    parts = rendered.split("/")
    if any(not part or part.startswith(".") for part in parts) or not rendered.isprintable():
        raise InvalidInput(
            f"{template!r} is no path below the folder of [results]: it is relative, and no part"
            " of it is empty or begins with a dot"
        )
    if any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise InvalidInput(f"{template!r}: a part of it is longer than {_LONGEST_PART} bytes")
    if "\\" in rendered:
        raise InvalidInput(f"{template!r} must not hold a \\")
    if found._plain.suffix not in _SUFFIXES:
        ends = ", ".join(_SUFFIXES)
        raise InvalidInput(f"{template!r} must end in {ends}, each with .gz or without")


def check_result_path(template: str) -> None:
    """Raise InvalidInput for a `save_to` that no run could use."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    of = ResultOf(
        run_id=1,
        collection_id="j_any",
        schedule="any",
        collector="any",
        due_at=moment,
        is_one_of_several=False,
    )
    render_result_path(template, of, zone=UTC)
    if not any(field in template for field in ("{run_id}", "{collection_id}", "{due_at")):
        raise InvalidInput(
            f"{template!r} is the same for each run: write {{due_at:%Y-%m-%d}} or {{run_id}} in it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSaved:
    """Why an attempt to save a result failed; *retry_after* is the upstream's own wish."""

    reason: ResultReason
    detail: str
    retry_after: timedelta | None = None


def next_attempt(
    failure: NotSaved, *, attempts: int, now: datetime, expires_at: datetime
) -> datetime | None:
    """Return when a result is tried again after so many *attempts*; None: not by itself."""
    if failure.reason in FINAL or now >= expires_at:
        return None
    if failure.reason is ResultReason.EXPIRED and attempts >= _TRIED_ANYWAY:
        return None
    pause = min(_PAUSE_FIRST * (1 << min(attempts - 1, 12)), _PAUSE_LONGEST)
    return min(now + max(pause, failure.retry_after or pause), max(expires_at, now + pause))


def is_too_short(row_count: int, lines: int | None, *, attempts: int) -> bool:
    """Tell whether rows are missing that the upstream's log tells of, and may come yet."""
    return lines is not None and row_count < lines and attempts < _TRIED_ANYWAY


_READY_BY: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def read_ready_by(text: str) -> tuple[int, int]:
    """Read `ready_by`, a time of day; raises InvalidInput."""
    found = _READY_BY.fullmatch(text)
    if found is None:
        raise InvalidInput(f'{text!r} is no time of day: write it as "06:00"')
    return int(found[1]), int(found[2])


def ready_until(text: str, due_at: datetime, zone: tzinfo) -> datetime:
    """Return by when what was due then is to be ready: the next such time in *zone*."""
    hour, minute = read_ready_by(text)
    local = due_at.astimezone(zone)
    for days in (0, 1, 2):
        day = (local + timedelta(days=days)).date()
        at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).astimezone(UTC)
        if at > due_at:
            return at
    raise AssertionError("a day has its time of day")
