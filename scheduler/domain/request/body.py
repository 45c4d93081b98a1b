"""The body of a trigger, rendered from inputs: JSON, CSV or multipart (DCA, 1)."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import JsonObject, StoredBody

# "Input of one job up to 1 GB" (DCA, 1, limits).
_MOST_BYTES: Final = 1024**3


class SendAs(StrEnum):
    """The kinds of body that the upstream takes."""

    JSON = "json"  # an array of objects, application/json
    CSV = "csv"  # with a header row, text/csv
    MULTIPART = "multipart"  # the same CSV as a file in the form field `data`


def render_body(inputs: Sequence[JsonObject], send_as: SendAs) -> StoredBody:
    """
    Return *inputs* as they are sent; equal inputs make an equal body and fingerprint.

    Raises InvalidInput for none at all, for a value that CSV cannot hold, and above 1 GB.
    """
    if not inputs:
        raise InvalidInput("there are no inputs: a trigger needs at least one")
    text = _json_text(inputs) if send_as is SendAs.JSON else _csv_text(inputs)
    size = len(text.encode())
    if size > _MOST_BYTES:
        raise InvalidInput(f"the inputs come to {size} bytes: the upstream takes 1 GB at most")
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
    return [dict(row) for row in csv.DictReader(io.StringIO(body.text, newline=""))]


def _json_text(inputs: Sequence[JsonObject]) -> str:
    try:
        return json.dumps(inputs, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the inputs cannot be written as JSON: {error}") from None


def _csv_text(inputs: Sequence[JsonObject]) -> str:
    columns = list(dict.fromkeys(key for one in inputs for key in one))
    if not columns:
        raise InvalidInput("the inputs have no keys: CSV needs at least one column")
    out = io.StringIO(newline="")
    # RFC 4180 ends a line with CRLF, and every reader takes it.
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for number, one in enumerate(inputs, 1):
        writer.writerow(list(_cells(number, one, columns)))
    return out.getvalue()


def _cells(number: int, one: JsonObject, columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        value = one.get(column)
        if isinstance(value, dict | list):
            raise InvalidInput(
                f"input {number}: {column!r} is an object or an array, which CSV cannot hold:"
                ' write send_as = "json"'
            )
        if value is None:
            yield ""
        elif isinstance(value, bool):
            yield "true" if value else "false"
        else:
            yield str(value)


def _multipart(body: StoredBody) -> tuple[str, bytes]:
    boundary = body.fingerprint
    while boundary in body.text:
        boundary = hashlib.sha256(boundary.encode()).hexdigest()
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="data"; filename="inputs.csv"\r\n'
        "Content-Type: text/csv\r\n\r\n"
    )
    content = f"{head}{body.text}\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", content
