"""From a plain document to the model: what of it is valid, and every problem of the rest."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

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

    *timetables* are all whose own keys are valid, even where another key of the schedule is not,
    so that they can be judged too.
    """

    config: Config
    timetables: Mapping[str, TimetableKeys]
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
        return Reading(config, config.schedules, ())

    wrong = {_table_of(problem.place) for problem in problems}
    for place in wrong:
        problems |= dict.fromkeys(_problems_of_groups(document, place, context))
    config = Config.model_validate(_without(document, wrong), context=context)
    salvaged = {
        str(place[1]): timetable
        for place in wrong
        if place[0] == "schedules" and len(place) == 2
        if (timetable := _read_group(TimetableKeys, document, place, context)) is not None
    }
    return Reading(config, {**config.schedules, **salvaged}, tuple(problems))


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
                found = _problems_of(error)
                yield from (Problem((*place, *each.place), each.sentence) for each in found)


def _read_group(
    group: type[_Table], document: Document, place: Place, context: Mapping[str, Any]
) -> _Table | None:
    try:
        return group.model_validate(_keys_of(group, document, place), context=context)
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
