"""The bodies that carry inputs (DCA, 1): a JSON array, CSV, or a form with a CSV file."""

import csv
import io
import json
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP

from scheduler.sandbox.answers import RequestRefused

Input = Mapping[str, object]


def read_inputs(content_type: str, body: bytes) -> tuple[Input, ...]:
    """
    Return the inputs of a trigger; refuse with 400 what the document does not describe.

    CSV values are text, whatever they look like.
    """
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            inputs = _from_json(body)
        case "text/csv":
            inputs = _from_csv(body)
        case "multipart/form-data":
            inputs = _from_csv(_data_field(content_type, body))
        case other:
            raise RequestRefused(400, f"Unsupported content type {other!r}")
    if not inputs:
        raise RequestRefused(400, "No inputs")
    return inputs


def _from_json(body: bytes) -> tuple[Input, ...]:
    try:
        inputs = json.loads(body)
    except ValueError:
        raise RequestRefused(400, "The body is not JSON") from None
    if not isinstance(inputs, list) or not all(isinstance(one, dict) for one in inputs):
        raise RequestRefused(400, "The body must be a JSON array of objects")
    return tuple(inputs)


def _from_csv(body: bytes) -> tuple[Input, ...]:
    try:
        rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise RequestRefused(400, "The body is not CSV in UTF-8") from None
    header, *records = [row for row in rows if row] or [[]]
    if any(len(record) != len(header) for record in records):
        raise RequestRefused(400, "A CSV row has more or fewer columns than the header")
    return tuple(dict(zip(header, record, strict=True)) for record in records)


def _data_field(content_type: str, body: bytes) -> bytes:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    for part in message.iter_parts():
        if part.get_param("name", header="content-disposition") == "data":
            payload = part.get_payload(decode=True)
            return payload if isinstance(payload, bytes) else b""
    raise RequestRefused(400, "The form has no field 'data'")
