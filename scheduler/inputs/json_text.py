"""Inputs from JSON: an array of objects, one object, or an object a line."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from math import isinf
from typing import Any, Final, NoReturn

from scheduler.domain.errors import InputsError
from scheduler.domain.records import JsonObject
from scheduler.inputs.doubts import lone_object_flaw, object_flaw

ONE_DOCUMENT: Final = "write one array of objects (an object a line goes into a .jsonl file)"
_ONE_A_LINE: Final = "each line must hold one whole object"

_OPENING: Final = re.compile(r"\s*\[?\s*")
_BETWEEN: Final = re.compile(r"[\s,]*")
_HALF_CHARACTER: Final = re.compile(r"\\u[dD][89a-fA-F]")
# Python itself reads no longer ones, and advises in its own words.
_MOST_DIGITS: Final = 4300


def read_json(text: str, place: str) -> list[JsonObject]:
    """Read an array of objects, or one object; *place* is named in errors."""
    if not text or text.isspace():
        return []
    value = _load(text, place, first_line=1, way_out=ONE_DOCUMENT)
    if not isinstance(value, list | dict):
        raise InputsError(f"{place}: is {_kind(value)}: {ONE_DOCUMENT}")
    if isinstance(value, dict) and (flaw := object_flaw(value) or lone_object_flaw(value)):
        raise InputsError(f"{place}: {flaw}")
    inputs = value if isinstance(value, list) else [value]
    may_be_broken = _may_be_broken(text)
    for number, one in enumerate(inputs, 1):
        if flaw := flaw_of(one, may_be_broken=may_be_broken):
            start = next(islice(_input_starts(text), number - 1, None))
            raise InputsError(f"{place}:{_line(text, start)}: input {number} {flaw}")
    return inputs


def iter_json_lines(lines: Iterable[str], place: str) -> Iterator[tuple[int, JsonObject]]:
    """Yield an object from each line that is not blank, with the line's number."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            value = _load(line, place, first_line=number, way_out=_ONE_A_LINE)
            if flaw := flaw_of(value, may_be_broken=_may_be_broken(line)):
                raise InputsError(f"{place}:{number}: {flaw}")
            yield number, value


def _load(text: str, place: str, *, first_line: int, way_out: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise InputsError(f"{place}:{line}:{error.colno}: {error.msg.lower()}: {way_out}") from None
    except (ValueError, RecursionError) as error:
        *_, start = _input_starts(text)
        line = first_line + _line(text, start) - 1
        raise InputsError(f"{place}:{line}: {reason_of(error)}") from None


def decode_at(text: str, position: int) -> tuple[Any, int]:
    """Read the value at *position*; return it, and where it ends. Raises what `json` raises."""
    return _DECODER.raw_decode(text, position)


def reason_of(error: Exception) -> str:
    """Return why a value cannot be read that is no broken JSON."""
    return "is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _input_starts(text: str) -> Iterator[int]:
    """Yield where each input begins, up to and with the first that cannot be read."""
    opening = _OPENING.match(text)
    while opening:
        yield opening.end()
        try:
            _, end = _DECODER.raw_decode(text, opening.end())
        except (ValueError, RecursionError):
            return
        opening = _BETWEEN.match(text, end)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _may_be_broken(text: str) -> bool:
    return _HALF_CHARACTER.search(text) is not None


def flaw_of(value: object, *, may_be_broken: bool) -> str | None:
    """Return what keeps *value* from being an input, if anything does."""
    if not isinstance(value, dict):
        return f"is {_kind(value)}, not an object: write it as {{…}}"
    if flaw := object_flaw(value):
        return flaw
    if may_be_broken and not _is_whole(value):
        return r"holds half a character (\ud800 to \udfff without the other half): mend the escape"
    return None


def _is_whole(value: JsonObject) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON: write null, or a number")


def _float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text[:20]} is too large for a number: write it as text")
    return number


def _int(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(text)} digits: write it as text")
    return int(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise ValueError(f"an object has the key {twice!r} twice: keep one of them")
    return found


def _kind(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return "text"
        case None:
            return "null"
        case bool():
            return "true or false"
        case _:
            return "a number"


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_float, parse_int=_int
)
