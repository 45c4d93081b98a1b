"""A file's inputs, by its suffix; and inputs that a row of the database holds as JSON."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject
from scheduler.inputs.csv_table import read_csv
from scheduler.inputs.json_text import read_json, read_json_lines
from scheduler.inputs.text import read_text


def read_inputs(path: Path) -> list[JsonObject]:
    """Return the inputs of *path*; raises InputsError naming the file, the line and the way out."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputsError(f"{path}: must end in one of {' '.join(_READERS)}")
    return _not_empty(reader(read_text(path), str(path)), str(path))


def parse_inputs(text: str, *, place: str) -> list[JsonObject]:
    """Return the inputs of a JSON text; *place* is named in errors."""
    return _not_empty(read_json(text, place), place)


def _read_urls(text: str, place: str) -> list[JsonObject]:
    lines = (line.strip() for line in text.splitlines())
    return [{"url": line} for line in lines if line and not line.startswith("#")]


def _not_empty(inputs: list[JsonObject], place: str) -> list[JsonObject]:
    if not inputs:
        raise InputsError(f"{place}: holds no inputs: write at least one")
    return inputs


_READERS: Final[Mapping[str, Callable[[str, str], list[JsonObject]]]] = {
    ".csv": read_csv,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".txt": _read_urls,
}
