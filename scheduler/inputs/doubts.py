"""What no input can be meant to be, and what seldom is: both are told, in words."""

import re
from collections.abc import Callable, Iterable
from itertools import starmap
from typing import Any, Final

from scheduler.domain.records import JsonObject

Warn = Callable[[str], None]

LARGEST_INPUT: Final = 16 * 1024**2
"""So many characters an input may have as it is written, for one is held whole."""

MOST_FIELDS: Final = 1000
MOST_DEPTH: Final = 64

_PLACEHOLDER: Final = re.compile(r"\{due_at\b[^{}]*\}")
_URL_START: Final = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_NEVER_IN_A_URL: Final = re.compile(
    '[\\s\\x00-\\x1f\\x7f"<>`|\\\\\u200b-\u200f\u202a-\u202e\u2060\ufeff\ufffd]'
)
_SECOND_URL: Final = re.compile(
    "[^?]*[,;]https?://|[^?#]*[0-9a-z]https?://|https?://[^/?#]*https?:/", re.IGNORECASE
)
# Of keys only the letters count, in lower case: errorMessage, error_message and Error-Message.
_NO_LETTER: Final = re.compile(r"[\W\d_]")
_ERROR_KEYS: Final = frozenset(
    {"error", "errors", "errorcode", "errordescription", "errormessage", "errormsg"}
    | {"exception", "stacktrace", "traceback"}
)
_MESSAGE_KEYS: Final = frozenset({"message", "msg", "detail"})
_BESIDE_AN_ERROR: Final = _MESSAGE_KEYS | {
    *("code", "details", "documentationurl", "instance", "ok", "path", "reason", "requestid"),
    *("status", "statuscode", "success", "timestamp", "title", "trace", "traceid", "type"),
}
_FAILED: Final = frozenset({"error", "fail", "failed", "failure"})
_ENVELOPE_KEYS: Final = frozenset(
    {"data", "docs", "entries", "features", "hits", "input", "inputs", "items", "links", "list"}
    | {"objects", "pages", "products", "records", "result", "results", "rows", "urls", "values"}
)
_URL_KEYS: Final = frozenset({"href", "link", "uri", "url"})
_URL_ENDS: Final = ("href", "link", "uri", "url")
_NOBODY_NAMED: Final = re.compile(
    "^(?:Unnamed: \\d+|\\d+|)$|[\u200b-\u200f\u202a-\u202e\u2060\ufeff]"
)

_IN_AN_ARRAY: Final = "if it is meant as one input, write it in an array: [{…}]"


def url_flaw(text: str) -> str | None:
    """Return why *text* is no URL of a page, if it is none; a `{due_at…}` in it is filled later."""
    text = _PLACEHOLDER.sub("0", text)
    if not _URL_START.match(text):
        return "is no URL: write https://… and nothing else"
    if sign := _NEVER_IN_A_URL.search(text):
        return f"holds {sign[0]!r}, which no URL does: remove what is not of it, or write %-codes"
    if text.endswith((",", ";", "'")):
        return f"ends in {text[-1]!r}: remove it"
    if _SECOND_URL.match(text):
        return "holds two URLs: write each for itself"
    return None


def object_flaw(value: JsonObject) -> str | None:
    """Return why no object such as *value* can be an input, wherever it stands."""
    if len(value) > MOST_FIELDS:
        return f"has {len(value)} fields, and {MOST_FIELDS} are the most"
    if _is_deeper(value, MOST_DEPTH):
        return f"is nested too deeply: {MOST_DEPTH} levels are the most"
    if _is_error(value):
        return "is an error that somebody answered, and no input: get the data again"
    return None


def lone_object_flaw(value: JsonObject) -> str | None:
    """Return why *value*, which is a whole document, is hardly one input."""
    names = {_plain(key) for key in value}
    if (names & _MESSAGE_KEYS or {"status", "title"} <= names) and names <= _BESIDE_AN_ERROR:
        return f"is an error that somebody answered: get the data again; {_IN_AN_ARRAY}"
    if _has_envelope(value) or _holds_only_collections(value) or any("://" in key for key in value):
        return (
            "is one object around others, not an array of inputs: write [{…}, {…}] (pandas:"
            f' to_json(orient="records")); {_IN_AN_ARRAY}'
        )
    return None


def doubt_of(value: JsonObject) -> str | None:
    """Return what makes it doubtful that *value* is meant as an input; None for most."""
    if not value:
        return "has no fields: is that meant for an input?"
    if doubt := next(filter(None, starmap(_url_doubt, value.items())), None):
        return doubt
    if _has_envelope(value) and not _is_envelope(value):
        return "holds a list as exports do, and no url: is it an envelope around the inputs?"
    if _is_envelope(value):
        return "holds nothing but lists, objects and counts: is it an envelope around the inputs?"
    if any(isinstance(each, str) and each.lower() == "url" for each in value.values()):
        return "has the value 'url': does a line stand above the names of the columns?"
    return None


def _url_doubt(key: str, value: Any) -> str | None:
    """Return why what stands under *key* can be no URL, though by its name it is one."""
    name = _plain(key)
    if name not in _URL_KEYS and not name.endswith(_URL_ENDS):
        return None
    if isinstance(value, str) and value.strip():
        flaw = url_flaw(value.strip(" \t\r\n"))
    elif names_the_page(key):
        flaw = "is empty" if isinstance(value, str) else "is no text"
    else:
        return None  # such as an image that a product lacks
    return flaw and f"its {key} {flaw}"


def names_the_page(key: str) -> bool:
    """Tell whether what stands under *key* is the page to crawl."""
    return _plain(key) in _URL_KEYS


def names_doubt(names: Iterable[str]) -> str | None:
    """Return what makes it doubtful that somebody named these fields."""
    odd = next((name for name in names if _NOBODY_NAMED.search(name)), None)
    return None if odd is None else f"has a field {odd!r}, which nobody seems to have named"


def _plain(key: str) -> str:
    return _NO_LETTER.sub("", key).lower()


def _is_error(value: JsonObject) -> bool:
    names = {_plain(key): each for key, each in value.items()}
    if not names.keys() <= _ERROR_KEYS | _BESIDE_AN_ERROR:
        return False
    failed = str(names.get("status")).lower() in _FAILED
    is_not_well = names.get("success") is False or names.get("ok") is False
    return bool(names.keys() & _ERROR_KEYS) or failed or is_not_well


def _has_envelope(value: JsonObject) -> bool:
    """Tell whether *value* holds a list by a name that tools give to all that they export."""
    lists = (isinstance(value[key], list) for key in _ENVELOPE_KEYS & value.keys())
    return "url" not in value and ("_embedded" in value or any(lists))


def _is_envelope(value: JsonObject) -> bool:
    """Tell whether there are lists or objects in *value*, and beside them at most numbers."""
    values = value.values()
    return any(each and isinstance(each, list | dict) for each in values) and not any(
        isinstance(each, str) for each in values
    )


def _holds_only_collections(value: JsonObject) -> bool:
    return all(isinstance(each, list | dict) for each in value.values())


def _is_deeper(value: Any, levels: int) -> bool:
    match value:
        case dict():
            inner: Iterable[Any] = value.values()
        case list():
            inner = value
        case _:
            return False
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)
