"""From a plain document to the model: what of it is valid, and every problem of the rest."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from scheduler.config.definitions import CalendarDefinition
from scheduler.config.document import Document
from scheduler.config.model import Config
from scheduler.config.problems import Problem, describe
from scheduler.config.schedule_keys import TimetableKeys
from scheduler.config.shape import Place, is_named, table_at
from scheduler.config.table import TomlTable
from scheduler.config.values import FOLDER

_Table = TypeVar("_Table", bound=TomlTable)


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a document says. *config* lacks the tables that have a problem.

    *timetables* and *calendars* are also those of tables with a problem that leaves enough to be
    judged, so that everything is told at once.
    """

    config: Config
    timetables: Mapping[str, TimetableKeys]
    calendars: Mapping[str, CalendarDefinition]
    problems: tuple[Problem, ...]


def read_model(document: Document, folder: Path) -> Reading:
    """Read *document*, whose relative paths start from *folder*, as the model."""
    context = {FOLDER: folder}
    try:
        config = Config.model_validate(document, context=context)
    except ValidationError as error:
        # As keys of a dict: pydantic says the same of a table and of a group of its keys.
        problems = dict.fromkeys(_problems_of(error))
    else:
        return Reading(config, config.schedules, config.calendars, ())

    wrong = {_table_of(problem.place) for problem in problems}
    for place in wrong:
        problems |= dict.fromkeys(_problems_of_groups(document, place, context))
    config = Config.model_validate(_without(document, wrong), context=context)
    left_out = {problem.place[:3] for problem in problems if len(problem.place) > 2}

    def salvage(section: str, group: type[_Table], needed: tuple[str, ...]) -> dict[str, _Table]:
        """Read what is right of the *section*'s wrong tables, if nothing *needed* is wrong."""
        read = {
            str(place[1]): _read_group(group, document, place, context, left_out)
            for place in wrong
            if place[0] == section and len(place) == 2
            if not any((*place, key) in left_out for key in needed)
        }
        return {name: table for name, table in read.items() if table is not None}

    timetables = salvage("schedules", TimetableKeys, _KINDS)
    calendars = salvage("calendars", CalendarDefinition, ("days",))
    return Reading(
        config,
        {**config.schedules, **timetables},
        {**config.calendars, **calendars},
        tuple(problems),
    )


_KINDS = ("cron", "every", "calendar_interval", "at", "manual", "after")
"""Without one of these a timetable that had one cannot be judged."""


def entry(document: Document, place: Place) -> Mapping[str, Any]:
    """Return the table at *place*, an empty one if there is none."""
    table: Any = document
    for key in place:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}


def _problems_of(error: ValidationError) -> Iterator[Problem]:
    return (describe(detail) for detail in error.errors(include_url=False))


def _table_of(place: Place) -> Place:
    return place[:2] if place and is_named(str(place[0])) else place[:1]


def _problems_of_groups(
    document: Document, place: Place, context: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield what is wrong with the groups of keys that pydantic leaves when another is wrong."""
    table = table_at(place)
    for group in table.__mro__ if table else ():
        if group is not table and issubclass(group, TomlTable):
            try:
                group.model_validate(_keys_of(group, document, place), context=context)
            except ValidationError as error:
                problems = _problems_of(error)
                yield from (Problem((*place, *each.place), each.sentence) for each in problems)


def _read_group(
    group: type[_Table],
    document: Document,
    place: Place,
    context: Mapping[str, Any],
    left_out: Collection[Place],
) -> _Table | None:
    keys = _keys_of(group, document, place)
    kept = {key: value for key, value in keys.items() if (*place, key) not in left_out}
    try:
        return group.model_validate(kept, context=context)
    except ValidationError:
        return None


def _keys_of(group: type[TomlTable], document: Document, place: Place) -> dict[str, Any]:
    table = entry(document, place)
    return {key: table[key] for key in group.model_fields if key in table}


def _without(document: Document, places: set[Place]) -> Document:
    kept: Document = {}
    for section, table in document.items():
        if (section,) in places:
            continue
        if is_named(section) and isinstance(table, dict):
            table = {name: each for name, each in table.items() if (section, name) not in places}
        kept[section] = table
    return kept
