"""The body of a trigger: rendered from inputs, sent, and read again (DCA, 1)."""

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from typing import Final

from scheduler.domain.records import JsonObject, StoredBody
from scheduler.domain.request.body_writer import MOST_BYTES, BodyWriter, SendAs, frame

# A field may hold a whole page; the csv module's own limit is 128 KiB.
_LONGEST_FIELD: Final = 2**31 - 1


def render_body(
    inputs: Sequence[JsonObject], send_as: SendAs, *, most_bytes: int = MOST_BYTES
) -> StoredBody:
    """
    Return *inputs* as they are sent, whole.

    Raises InvalidInput for none at all, and what BodyWriter raises.
    """
    columns = list(dict.fromkeys(key for item in inputs for key in item))
    if not inputs:
        send_as = SendAs.JSON  # which says what is missing
    writer = BodyWriter(send_as, columns=columns, most_bytes=most_bytes)
    for item in inputs:
        writer.add(item)
    return writer.finish()


def body_content(body: StoredBody) -> tuple[str, bytes]:
    """Return the Content-Type and the exact bytes of a whole *body*; the same ones each time."""
    content_type, head, tail = body_frame(body)
    return content_type, f"{head}{body.text}{tail}".encode()


def body_frame(body: StoredBody) -> tuple[str, str, str]:
    """Return the Content-Type of *body*, and what is sent before and behind its text."""
    if body.send_as != SendAs.MULTIPART:
        return _TYPES[body.send_as], "", ""
    boundary = body.fingerprint
    # One in parts holds its own hash no more than anybody could make it hold that.
    while boundary in body.text:
        boundary = hashlib.sha256(boundary.encode()).hexdigest()
    content_type = f"multipart/form-data; boundary={boundary}"
    return content_type, *frame(SendAs.MULTIPART, boundary)


_TYPES: Final[dict[str, str]] = {SendAs.JSON: "application/json", SendAs.CSV: "text/csv"}


def body_inputs(body: StoredBody) -> list[JsonObject]:
    """Return the inputs that a whole *body* was made of; in CSV every value has become text."""
    if body.send_as == SendAs.JSON:
        return list(json.loads(body.text))
    csv.field_size_limit(_LONGEST_FIELD)
    return [dict(row) for row in csv.DictReader(io.StringIO(body.text, newline=""))]
