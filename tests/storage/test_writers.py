"""Who writes which column of a run is told in one place, and told rightly."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from scheduler.domain.records import NewRun
from scheduler.storage import runs as room
from scheduler.storage.tables import runs

ROOM = Path(str(room.__file__)).parent
WRITES = ("update(runs)", "delete(runs)", "insert(runs)", "insert_new(runs,", "_rows(conn, runs,")
SIGNED = {"moves", "moved_at", "moved_by"}


def test_the_table_of_the_room_has_every_column_with_those_that_write_it() -> None:
    told: dict[str, set[str]] = defaultdict(set)
    for line in (room.__doc__ or "").splitlines():
        if line.startswith("| ") and "." in line:
            columns, writers = line.strip("| ").split(" | ")
            for column in columns.split(", "):
                told[column] |= set(writers.split(", "))
    assert told == writers_by_column()


def test_what_is_not_in_the_table_is_written_when_the_run_is_made() -> None:
    at_birth = {field.name for field in fields(NewRun)} | {"id"}
    assert set(runs.c.keys()) - set(writers_by_column()) <= at_birth


def test_no_other_module_of_storage_writes_runs() -> None:
    apart = ("past_runs.py",)  # it writes the demo's month, and is the only one that may
    others = [
        file for file in ROOM.parent.rglob("*.py") if file.parent != ROOM and file.name not in apart
    ]
    assert [file.name for file in others if list(writing_statements(file))] == []


def writers_by_column() -> dict[str, set[str]]:
    """Return of each column who sets it, but for what a new run is inserted with."""
    writers = defaultdict(set)
    for file in ROOM.glob("*.py"):
        for name, node in writing_statements(file):
            for column in columns_in(node) & set(runs.c.keys()):
                writers[column].add(f"{file.stem}.{name}")
    return writers


def writing_statements(file: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Return the functions and constants of a module that write `runs`, each with its name."""
    for node in ast.parse(file.read_text()).body:
        if any(write in ast.unparse(node) for write in WRITES):
            match node:
                case ast.FunctionDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
                    yield name, node


def columns_in(statement: ast.stmt) -> set[str]:
    """Return the names that are given values: keywords of values(), keys of a dict, SIGNED."""
    names: set[str] = set()
    for node in ast.walk(statement):
        match node:
            case ast.Call(func=ast.Attribute(attr="values"), keywords=keywords):
                names |= {keyword.arg for keyword in keywords if keyword.arg}
            case ast.Dict(keys=keys):
                names |= {str(key.value) for key in keys if isinstance(key, ast.Constant)}
            case ast.Name(id="SIGNED"):
                names |= SIGNED
    return names
