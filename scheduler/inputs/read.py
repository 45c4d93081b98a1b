"""A file's inputs, by its suffix; and inputs that a row of the database holds as JSON."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject
from scheduler.inputs.csv_table import iter_csv
from scheduler.inputs.doubts import Warn, doubt_of, names_doubt, names_the_page, url_flaw
from scheduler.inputs.files import ANY_FILE, InputFiles
from scheduler.inputs.json_stream import iter_json
from scheduler.inputs.json_text import iter_json_lines, read_json
from scheduler.inputs.text import Raw, iter_chunks, iter_lines

_Reader = Callable[[Raw, Path, Warn], Iterator[tuple[int, JsonObject]]]


class Located(NamedTuple):
    """An input, and where it stands: a line of a file, or its number in an array."""

    source: str
    number: int
    value: JsonObject

    @property
    def place(self) -> str:
        """The place as errors name it."""
        return f"{self.source}{self.number}"


def iter_inputs(
    path: Path, *, files: InputFiles = ANY_FILE, warn: Warn | None = None
) -> Iterator[Located]:
    """
    Yield the inputs of *path* one by one, a window of the file held at a time.

    Raises InputsError naming the file, the line and the way out; what came before it was yielded.
    What may be meant and hardly is, is told to *warn*.
    """
    with files.open(path) as (raw, real):
        kind = real.suffix.lower()
        if kind not in _READERS:
            is_link = path.suffix.lower() != kind
            what = f"is a link to {real.name}, which must" if is_link else "must"
            raise InputsError(f"{path}: {what} end in one of {' '.join(_READERS)}")
        source = f"{path}: input " if kind == ".json" else f"{path}:"
        inputs = _READERS[kind](raw, path, warn or _tell_nobody)
        yield from _doubted((Located(source, *each) for each in inputs), warn)


def iter_parsed(text: str, *, place: str, warn: Warn | None = None) -> Iterator[Located]:
    """Yield the inputs of a JSON text; *place* is named in errors."""
    inputs = enumerate(read_json(text, place), 1)
    return _doubted((Located(f"{place}: input ", *each) for each in inputs), warn)


def _doubted(inputs: Iterator[Located], warn: Warn | None) -> Iterator[Located]:
    """Yield *inputs*; the first that are doubtful, each in another way, are told to *warn*."""
    if warn is None:
        yield from inputs
        return
    told: set[str] = set()
    for index, item in enumerate(inputs):
        doubts = (doubt_of(item.value), None if index else names_doubt(item.value))
        for doubt in doubts:
            if doubt is not None and doubt not in told:
                told.add(doubt)
                warn(f"{item.place}: {doubt}")
        yield item


def read_inputs(
    path: Path, *, files: InputFiles = ANY_FILE, warn: Warn | None = None
) -> list[JsonObject]:
    """Return the inputs of *path*, at least one; raises as `iter_inputs` does."""
    inputs = iter_inputs(path, files=files, warn=warn)
    return [item.value for item in not_empty(inputs, str(path))]


def parse_inputs(text: str, *, place: str) -> list[JsonObject]:
    """Return the inputs of a JSON text, at least one; *place* is named in errors."""
    return [item.value for item in not_empty(iter_parsed(text, place=place), place)]


def not_empty(inputs: Iterator[Located], place: str) -> Iterator[Located]:
    """Yield *inputs*; raises InputsError when there is none."""
    empty = True
    for item in inputs:
        empty = False
        yield item
    if empty:
        raise InputsError(f"{place}: holds no inputs: write at least one")


def _tell_nobody(_: str) -> None:
    pass


def _urls(raw: Raw, path: Path, warn: Warn) -> Iterator[tuple[int, JsonObject]]:
    columns = {",", ";"}
    for number, line in enumerate(_whole_lines(raw, path, warn), 1):
        url = line.strip()
        if url and not url.startswith("#"):
            if flaw := url_flaw(url):
                raise InputsError(f"{path}:{number}: {flaw}; columns go into a .csv with a header")
            columns = {sign for sign in columns if sign in url}
            yield number, {"url": url}
    for sign in columns:
        warn(f"{path}: each line has a {sign!r}: columns go into a .csv with a header")


def _whole_lines(raw: Raw, path: Path, warn: Warn) -> Iterator[str]:
    """Yield the lines of *raw*; where the last one may be cut off, that is told to *warn*."""
    line = "\n"
    for line in iter_lines(raw, path):
        yield line
    if not line.endswith(("\n", "\r")):
        warn(f"{path}: its last line has no line break at its end: is the file whole?")


def _csv(raw: Raw, path: Path, warn: Warn) -> Iterator[tuple[int, JsonObject]]:
    names: list[str] = []
    lines = _whole_lines(raw, path, warn)
    for number, value in iter_csv(lines, str(path), tell_names=names.extend):
        if cut := next(filter(names_the_page, names[len(value) :]), None):
            warn(f"{path}:{number}: ends before its {cut}")
            names.clear()  # told once
        yield number, value


def _json(raw: Raw, path: Path, _: Warn) -> Iterator[tuple[int, JsonObject]]:
    return iter_json(iter_chunks(raw, path), str(path))


def _json_lines(raw: Raw, path: Path, _: Warn) -> Iterator[tuple[int, JsonObject]]:
    return iter_json_lines(iter_lines(raw, path, newline="\n"), str(path))


_READERS: Final[Mapping[str, _Reader]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".txt": _urls,
}
