"""The body of a trigger, rendered from inputs: JSON, CSV or multipart (DCA, 1)."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from enum import StrEnum
from math import isfinite
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import JsonObject, StoredBody

# "Input of one job up to 1 GB" (DCA, 1, limits).
MOST_BYTES: Final = 1024**3
# A field may hold a whole page; the csv module's own limit is 128 KiB.
_LONGEST_FIELD: Final = 2**31 - 1


class SendAs(StrEnum):
    """The kinds of body that the upstream takes."""

    JSON = "json"  # an array of objects, application/json
    CSV = "csv"  # with a header row, text/csv
    MULTIPART = "multipart"  # the same CSV as a file in the form field `data`


def render_body(
    inputs: Sequence[JsonObject], send_as: SendAs, *, most_bytes: int = MOST_BYTES
) -> StoredBody:
    """
    Return *inputs* as they are sent.

    Equal inputs, their keys in the same order, make an equal body and fingerprint. Raises
    InvalidInput for none at all, for a value that the kind of body cannot hold, and for a
    request above *most_bytes*.
    """
    if not inputs:
        raise InvalidInput("there are no inputs: a trigger needs at least one")
    text = _json_text(inputs) if send_as is SendAs.JSON else _csv_text(inputs)
    size = _size(text, inputs)
    frame = "".join(_frame("0" * 64)) if send_as is SendAs.MULTIPART else ""
    if size + len(frame) > most_bytes:
        raise InvalidInput(
            f"the inputs come to {size + len(frame)} bytes, and the upstream takes"
            f" {most_bytes} at most: divide them among several batches"
        )
    return StoredBody(
        fingerprint=hashlib.sha256(f"{send_as}\0{text}".encode()).hexdigest(),
        send_as=send_as,
        row_count=len(inputs),
        byte_count=size,
        text=text,
    )


def body_content(body: StoredBody) -> tuple[str, bytes]:
    """Return the Content-Type and the exact bytes of *body*; the same ones each time."""
    match SendAs(body.send_as):
        case SendAs.JSON:
            return "application/json", body.text.encode()
        case SendAs.CSV:
            return "text/csv", body.text.encode()
        case SendAs.MULTIPART:
            return _multipart(body)


def body_inputs(body: StoredBody) -> list[JsonObject]:
    """Return the inputs that *body* was rendered from; in CSV every value has become text."""
    if body.send_as == SendAs.JSON:
        return list(json.loads(body.text))
    csv.field_size_limit(_LONGEST_FIELD)
    return [dict(row) for row in csv.DictReader(io.StringIO(body.text, newline=""))]


def _json_text(inputs: Sequence[JsonObject]) -> str:
    try:
        return json.dumps(inputs, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the inputs cannot be written as JSON: {error}") from None


def _size(text: str, inputs: Sequence[JsonObject]) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        number = next(number for number, one in enumerate(inputs, 1) if not _is_whole(one))
        raise InvalidInput(
            f"input {number} holds half a character (a surrogate without the other half),"
            " which no body can hold: write it whole"
        ) from None


def _is_whole(one: JsonObject) -> bool:
    try:
        json.dumps(one, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _csv_text(inputs: Sequence[JsonObject]) -> str:
    columns = list(dict.fromkeys(key for one in inputs for key in one))
    if not columns:
        raise InvalidInput(
            'the inputs have no keys, and CSV needs a column: write send_as = "json"'
        )
    out = io.StringIO(newline="")
    # RFC 4180 ends a line with CRLF, and every reader takes it.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(column, "the name of a column") for column in columns])
    for number, one in enumerate(inputs, 1):
        writer.writerow(
            [_cell(one.get(column), f"input {number}: {column!r}") for column in columns]
        )
    return out.getvalue()


def _cell(value: object, place: str) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() if "\0" in value:
            flaw = "holds a NUL character"
        case str():
            return value
        case int():
            return str(value)
        case float() if isfinite(value):
            return str(value)
        case dict() | list():
            flaw = "is an object or an array"
        case _:
            raise InvalidInput(f"{place} is no JSON value: write text, or a finite number")
    raise InvalidInput(
        f'{place} {flaw}, which CSV cannot hold: change it, or write send_as = "json"'
    )


def _multipart(body: StoredBody) -> tuple[str, bytes]:
    boundary = body.fingerprint
    while boundary in body.text:
        boundary = hashlib.sha256(boundary.encode()).hexdigest()
    head, tail = _frame(boundary)
    content = f"{head}{body.text}{tail}".encode()
    return f"multipart/form-data; boundary={boundary}", content


def _frame(boundary: str) -> tuple[str, str]:
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="data"; filename="inputs.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    )
    return head, f"\r\n--{boundary}--\r\n"
