"""The file in a form, while it comes: `multipart/form-data` with CSV in the field `data`."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from scheduler.web.problems import Refused

FIELD: Final = "data"
_MOST_HEADER: Final = 8 * 1024
_WAY_OUT: Final = "curl: --form data=@inputs.csv; Python requests: files={'data': open(…, 'rb')}"


def iter_file(pieces: Iterable[bytes], content_type: str) -> Iterator[bytes]:
    """
    Yield the content of the field `data`; all else in the form is refused.

    Raises Refused, 400, for a form that is broken, that ends in the middle, or that has no file.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary or len(boundary) > 200:
        raise _broken("its Content-Type names no boundary: leave that header to the client")
    form = _Form()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin_part,
            "on_header_field": form.take_name,
            "on_header_value": form.take_value,
            "on_header_end": form.end_header,
            "on_headers_finished": form.begin_content,
            "on_part_data": form.take_content,
            "on_end": form.end,
        },
    )
    try:
        for piece in pieces:
            parser.write(piece)
            while form.content:
                yield form.content.popleft()
        parser.finalize()
    except FormParserError:
        raise _broken("it does not follow its boundary") from None
    if not form.is_over:
        raise _broken("it ends in the middle: was the connection cut?")
    if not form.files:
        raise _broken(f"it has no field {FIELD!r}")


class _Form:
    """What the parser has found so far."""

    def __init__(self) -> None:
        self.content: deque[bytes] = deque()
        self.files = 0
        self.is_over = False
        self._header: list[bytearray] = []
        self._headers: dict[bytes, bytes] = {}

    def begin_part(self) -> None:
        self._headers = {}
        self._header = [bytearray(), bytearray()]

    def take_name(self, data: bytes, start: int, end: int) -> None:
        self._take(0, data[start:end])

    def take_value(self, data: bytes, start: int, end: int) -> None:
        self._take(1, data[start:end])

    def _take(self, index: int, data: bytes) -> None:
        self._header[index] += data
        if len(self._header[index]) > _MOST_HEADER:
            raise _broken("the head of a field is too long")

    def end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = [bytearray(), bytearray()]
        if len(self._headers) > 20:
            raise _broken("the head of a field is too long")

    def begin_content(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode(errors="replace")
        if name != FIELD:
            raise _broken(f"it has a field {name[:40]!r}")
        self.files += 1
        if self.files > 1:
            raise _broken(f"it has {FIELD!r} twice")

    def take_content(self, data: bytes, start: int, end: int) -> None:
        self.content.append(data[start:end])

    def end(self) -> None:
        self.is_over = True


def _broken(why: str) -> Refused:
    detail = f"the form cannot be used: {why}; send one CSV file in the field {FIELD!r}: {_WAY_OUT}"
    return Refused(400, "broken-form", detail)
