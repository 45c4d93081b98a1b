"""A file's inputs, by its suffix; and inputs that a row of the database holds as JSON."""

import glob
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject
from scheduler.inputs.csv_table import iter_csv
from scheduler.inputs.json_stream import iter_json
from scheduler.inputs.json_text import iter_json_lines, read_json
from scheduler.inputs.text import iter_chunks, iter_lines

_Reader = Callable[[Path], Iterator[tuple[int, JsonObject]]]


class Located(NamedTuple):
    """An input, and where it stands: a line of a file, or its number in an array."""

    source: str
    number: int
    value: JsonObject

    @property
    def place(self) -> str:
        """The place as errors name it."""
        return f"{self.source}{self.number}"


def find_files(pattern: str) -> list[Path]:
    """Return the files that *pattern* names, in the order of their names; it may be a glob."""
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return [Path(pattern)]
    # Path.glob would find hidden files, too: what an editor or a download leaves for a while.
    matched = map(Path, glob.iglob(pattern, recursive=True))  # noqa: PTH207
    found = sorted(path for path in matched if path.is_file())
    if not found:
        raise InputsError(f"{pattern}: matches no file: is the pattern right, and are they there?")
    return found


def iter_inputs(path: Path) -> Iterator[Located]:
    """
    Yield the inputs of *path* one by one, a window of the file held at a time.

    Raises InputsError naming the file, the line and the way out; what came before it was yielded.
    """
    kind = path.suffix.lower()
    if kind not in _READERS:
        raise InputsError(f"{path}: must end in one of {' '.join(_READERS)}")
    source = f"{path}: input " if kind == ".json" else f"{path}:"
    for number, value in _READERS[kind](path):
        yield Located(source, number, value)


def iter_parsed(text: str, *, place: str) -> Iterator[Located]:
    """Yield the inputs of a JSON text; *place* is named in errors."""
    for number, value in enumerate(read_json(text, place), 1):
        yield Located(f"{place}: input ", number, value)


def read_inputs(path: Path) -> list[JsonObject]:
    """Return the inputs of *path*, at least one; raises as `iter_inputs` does."""
    return [one.value for one in not_empty(iter_inputs(path), str(path))]


def parse_inputs(text: str, *, place: str) -> list[JsonObject]:
    """Return the inputs of a JSON text, at least one; *place* is named in errors."""
    return [one.value for one in not_empty(iter_parsed(text, place=place), place)]


def not_empty(inputs: Iterator[Located], place: str) -> Iterator[Located]:
    """Yield *inputs*; raises InputsError when there is none."""
    empty = True
    for one in inputs:
        empty = False
        yield one
    if empty:
        raise InputsError(f"{place}: holds no inputs: write at least one")


def _urls(path: Path) -> Iterator[tuple[int, JsonObject]]:
    for number, line in enumerate(iter_lines(path), 1):
        url = line.strip()
        if url and not url.startswith("#"):
            yield number, {"url": url}


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    return iter_json_lines(iter_lines(path, newline="\n"), str(path))


_READERS: Final[Mapping[str, _Reader]] = {
    ".csv": lambda path: iter_csv(iter_lines(path), str(path)),
    ".json": lambda path: iter_json(iter_chunks(path), str(path)),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".txt": _urls,
}
