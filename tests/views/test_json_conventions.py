"""What docs/json.md promises of every answer: the dataclasses that become JSON are walked."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import pytest

import scheduler.tools
import scheduler.views
from scheduler.actions.clock_reset import ResetSchedule
from scheduler.actions.comparing import Change
from scheduler.actions.settle_restore import SettledRestore
from scheduler.domain.moves import RunEvent
from scheduler.storage.runs.troubles import Late
from scheduler.tools.calendar.backfill import BackfillView
from scheduler.tools.calendar.explain import Explanations
from scheduler.tools.calendar.explain_instant import Explained
from scheduler.tools.calendar.lint_findings import LintFinding
from scheduler.tools.calendar.next import NextOccurrence
from scheduler.tools.calendar.preview import Preview
from scheduler.tools.crontab_import.importer import Imported
from scheduler.tools.definitions.drift import Drift
from scheduler.views.decoding import hints_of
from scheduler.views.json_document import json_document
from scheduler.views.page import Page
from scheduler.views.retrying import Retryable
from scheduler.views.runs import RunDetail

NAMED: Final = (
    *(ResetSchedule, Change, SettledRestore, Explanations, LintFinding, NextOccurrence, Preview),
    *(Imported, Drift, Retryable),
)
TIME_ENDS: Final = ("_at", "_until", "_before", "_since", "_eta")
TIME_NAMES: Final = ("since", "until", "not_before")
DONE: Final = ("paused", "frozen", "made", "created")
COUNTED: Final = (
    *("enabled_schedules", "rows", "unresolved", "waiting"),
    *("events", "attempts", "runs", "schedules", "items", "changes", "findings"),
)


def _modules() -> Iterator[Any]:
    for package in (scheduler.views, scheduler.tools):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(module.name)


def _views() -> set[type]:
    named = {
        value
        for module in _modules()
        for name, value in vars(module).items()
        if isinstance(value, type) and is_dataclass(value) and not name.startswith("_")
        if value.__module__.startswith("scheduler.views") or name.endswith("View")
    }
    return named | set(NAMED)


def _types(hint: Any) -> Iterator[Any]:
    """Yield the types that a hint is made of."""
    yield hint
    if get_origin(hint) is not None or isinstance(hint, UnionType):
        for part in get_args(hint):
            yield from _types(part)


def _shown() -> set[type]:
    """Return every dataclass that an answer may hold."""
    shown: set[type] = set()
    fresh = _views()
    while fresh:
        shown |= fresh
        hints = (hint for kind in fresh for hint in hints_of(kind).values())
        parts = {part for hint in hints for part in _types(hint) if isinstance(part, type)}
        fresh = {part for part in parts if is_dataclass(part)} - shown
    return shown


def _breaches(kinds: set[type]) -> Iterator[str]:
    for kind in kinds:
        hints = hints_of(kind)
        for field in fields(kind):
            place, parts = f"{kind.__name__}.{field.name}", set(_leaves(hints[field.name]))
            if datetime in parts and not _is_time(field.name):
                yield f"{place} is a time, and its name does not say which"
            if _is_time(field.name) and not parts & {datetime, str}:
                yield f"{place} is called like a time"
            if timedelta in parts:
                yield f"{place} is a duration without a unit"
            if field.name == "at" and datetime in parts:
                yield f"{place} is a key of a timetable"
            if field.name in ("who", "user", "author"):
                yield f"{place}: who did it is called by"
            if int in parts and field.name in COUNTED:
                yield f"{place} is a number of them: call it {field.name[:-1]}_count"
            done, _, by = field.name.rpartition("_")
            if by == "by" and done in DONE and f"{done}_at" not in hints:
                yield f"{place} has no {done}_at beside it"


def _leaves(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _leaves(part)
    else:
        yield hint


def _is_time(name: str) -> bool:
    return name.endswith(TIME_ENDS) or name in TIME_NAMES


def test_every_answer_keeps_the_conventions() -> None:
    shown = _shown()

    assert {RunDetail, RunEvent, BackfillView, Explained, Late} <= shown
    assert list(_breaches(shown)) == []


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrong:
    starts: datetime | None = None
    seen_at: int = 0
    lasts: timedelta | None = None
    at: datetime | None = None
    who: str = ""
    attempts: int = 0
    paused_by: str | None = None


def test_what_breaks_a_convention_is_found() -> None:
    assert {breach.split()[0].rstrip(":").partition(".")[2] for breach in _breaches({_Wrong})} == {
        field.name for field in fields(_Wrong)
    }


@pytest.mark.parametrize("items", [[], [1, 2], ()])
def test_a_list_is_always_a_page(items: Any) -> None:
    assert json_document(items) == {"items": list(items), "next": None}
    assert json_document(Page(items=items, next=7)) == {"items": list(items), "next": 7}


@pytest.mark.parametrize("microsecond", [0, 1, 500_000])
def test_a_time_has_one_form(microsecond: int) -> None:
    moment = datetime(2026, 3, 2, 9, microsecond=microsecond, tzinfo=UTC)

    assert json_document({"due_at": moment}) == {"due_at": f"2026-03-02T09:00:00.{microsecond:06}Z"}
