"""The words of a curl or a wget: the URL, the headers, and the body of the request they make."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from scheduler.tools.crontab_import.shell_line import Call

# Options that take a value; all others stand alone. Only those that matter are followed.
_CURL_SHORT: Final = "XHdFoumAebcxwKTCDEPQrtUYyz"
_CURL_LONG: Final = frozenset(
    {
        *("request", "header", "data", "data-raw", "data-binary", "data-ascii", "data-urlencode"),
        *("json", "form", "form-string", "url", "user", "output", "max-time", "connect-timeout"),
        *("retry", "retry-delay", "retry-max-time", "user-agent", "referer", "cookie", "proxy"),
        *("cookie-jar", "write-out", "config", "cacert", "cert", "key", "capath", "resolve"),
        *("limit-rate", "interface", "oauth2-bearer", "dump-header", "stderr", "trace", "range"),
        *("upload-file", "max-redirs", "speed-limit", "speed-time", "noproxy", "proxy-user"),
        *("post-data", "post-file", "method", "body-data", "body-file", "output-document"),
        *("timeout", "tries", "output-file", "wait", "password", "http-password", "http-user"),
    }
)
_WGET_SHORT: Final = "OoaTtUePw"
_NAMES: Final = {
    "X": "request",
    "H": "header",
    "d": "data",
    "F": "form",
    "G": "get",
    "K": "config",
    "T": "upload-file",
    "u": "user",
}
_DATA: Final = frozenset({"data", "data-ascii", "data-raw", "data-binary", "data-urlencode"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the body: a *text*, or a *file*; `-` is standard input."""

    text: str | None = None
    file: str | None = None
    is_form: bool = False


@dataclass(slots=True)
class HttpCall:
    """One request; *content_type* is None when nobody said it."""

    urls: list[str] = field(default_factory=list)
    method: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    query: list[str] = field(default_factory=list)
    is_get: bool = False
    unread: list[str] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """Return the value of a header, whatever its case; the last one counts."""
        values = [value for key, value in self.headers if key.casefold() == name]
        return values[-1] if values else None


def read_call(call: Call) -> HttpCall:
    """Read the words of *call* as the program reads them."""
    http = HttpCall()
    for name, value in _options(call):
        if name == "" and value is not None:
            http.urls.append(value)
        elif value is not None or name in ("get", "post"):
            _take(http, name, value or "", is_curl=call.program == "curl")
    if http.is_get:
        http.query += [piece.text for piece in http.pieces if piece.text is not None]
        http.pieces.clear()
    return http


def _options(call: Call) -> Iterator[tuple[str, str | None]]:
    """Yield each option with its value, and each plain word under an empty name."""
    rest = iter(call.words)
    short = _CURL_SHORT if call.program == "curl" else _WGET_SHORT
    for word in rest:
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            if equals:
                yield name, value
            else:
                yield name, next(rest, None) if name in _CURL_LONG else None
        elif word.startswith("-") and len(word) > 1:
            yield from _short_options(word[1:], short, rest)
        else:
            yield "", word


def _short_options(
    letters: str, with_value: str, rest: Iterator[str]
) -> Iterator[tuple[str, str | None]]:
    for index, letter in enumerate(letters):
        name = _NAMES.get(letter, letter)
        if letter in with_value:
            yield name, letters[index + 1 :] or next(rest, None)
            return
        yield name, None


def _take(http: HttpCall, name: str, value: str, *, is_curl: bool) -> None:
    match name:
        case "url":
            http.urls.append(value)
        case "request" | "method":
            http.method = value.upper()
        case "get":
            http.is_get = True
        case "header":
            key, _, text = value.partition(":")
            http.headers.append((key.strip(), text.strip()))
        case "oauth2-bearer":
            http.headers.append(("Authorization", f"Bearer {value}"))
        case "json":
            http.headers.append(("Content-Type", "application/json"))
            http.pieces.append(_piece(value))
        case "data-raw" | "post-data" | "body-data":
            http.pieces.append(Piece(text=value))
        case "post-file" | "body-file":
            http.pieces.append(Piece(file=value))
        case "form":
            http.pieces.append(_form_piece(value))
        case "config" | "upload-file" | "user":
            if is_curl:
                http.unread.append(name)
        case _ if name in _DATA:
            http.pieces.append(_encoded(value) if name == "data-urlencode" else _piece(value))


def _piece(value: str) -> Piece:
    return Piece(file=value[1:]) if value.startswith("@") else Piece(text=value)


def _encoded(value: str) -> Piece:
    key, equals, text = value.partition("=")
    return Piece(text=f"{key}={quote_plus(text)}" if equals else quote_plus(value))


def _form_piece(value: str) -> Piece:
    _, _, content = value.partition("=")
    content = content.partition(";")[0] if content.startswith(("@", "<")) else content
    if content.startswith(("@", "<")):
        return Piece(file=content[1:].strip('"'), is_form=True)
    return Piece(text=content, is_form=True)


def body_of(pieces: Sequence[Piece]) -> Piece | None:
    """Return the one body that several pieces make; None when a file is among several."""
    if len(pieces) == 1:
        return pieces[0]
    texts = [piece.text for piece in pieces]
    if any(text is None for text in texts):
        return None
    return Piece(text="&".join(text for text in texts if text is not None))
