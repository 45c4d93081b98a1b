"""Takes what we sent in confidence out of what the upstream says: an error may echo its request."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate, repeat
from typing import Final
from urllib.parse import quote, quote_plus, unquote

from scheduler.upstream.fields import read_json

_CONFIDENTIAL: Final = frozenset({"notify", "deliver"})
# A delivery's kind is worth reading in an error, and no secret.
_HARMLESS: Final = frozenset({"type"})
# Shorter ones are words like `csv`, or a token for the sandbox: they would garble every message.
_SHORTEST: Final = 4
_PASSWORD: Final = re.compile(r"://[^/\s@:]*:([^/\s@]+)@")
_QUERY_VALUE: Final = re.compile(r"[?&][^=?&#\s]+=([^&#\s]+)")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
# A login page's `next=` quotes what was quoted, and a template escapes it once more.
_MOST_TIMES_ENCODED: Final = 3
_WITHHELD: Final = "(its words echo what was sent in confidence, and are withheld)"


def redact(text: str, *, token: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """
    Return *text* with the token, and everything in `notify` and `deliver`, replaced by ***.

    Where one of them shows only once the text is decoded, nothing of the text is returned.
    """
    secrets = {each for each in (token, *_confidential(params)) if len(each) >= _SHORTEST}
    forms = {form for secret in secrets for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    hidden = {form for secret in secrets for form in (*_decoded(secret), *_base64_forms(secret))}
    return _WITHHELD if any(form in seen for seen in _decoded(text) for form in hidden) else text


def _confidential(params: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in params:
        if name in _CONFIDENTIAL:
            yield value
            for leaf in _leaves(read_json(value)):
                yield from (leaf, *_PASSWORD.findall(leaf), *_QUERY_VALUE.findall(leaf))


def _leaves(value: object) -> Iterator[str]:
    # Not by recursion: a row may hold anything, however deep.
    values = [value]
    while values:
        match values.pop():
            case str(text):
                yield text
            case dict(fields):
                values += (inner for key, inner in fields.items() if key not in _HARMLESS)
            case list(items):
                values += items


def _forms(secret: str) -> tuple[str, ...]:
    """Return the ways in which an answer usually writes *secret*."""
    return (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
    )


def _decoded(text: str) -> set[str]:
    """Return *text* with what a URL, HTML or JSON escapes taken back, never to several times."""
    rounds = accumulate(repeat(None, _MOST_TIMES_ENCODED), _decode, initial=text)
    return {seen for seen in rounds if len(seen) >= _SHORTEST}


def _decode(text: str, _: object) -> str:
    return _ESCAPE.sub(_character, html.unescape(unquote(text.replace("+", " "))))


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]


def _base64_forms(secret: str) -> Iterator[str]:
    """Yield what stands of *secret* in the base64 of any text that holds it."""
    raw = secret.encode(errors="replace")
    for before in range(3) if len(raw) >= 2 * _SHORTEST else ():
        # The first and last characters depend on the neighbours.
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")[before + 1 : -1]
        yield from {encoded, encoded.translate(_URL_SAFE)}


_URL_SAFE: Final = str.maketrans("+/", "-_")
