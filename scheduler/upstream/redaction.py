"""Takes what we sent in confidence out of what the upstream says: an error may echo its request."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from scheduler.upstream.fields import read_json

_CONFIDENTIAL: Final = frozenset({"notify", "deliver"})
# A delivery's kind is worth reading in an error, and no secret.
_HARMLESS: Final = frozenset({"type"})
# Shorter ones are words like `csv`, and replacing them would garble every message.
_SHORTEST: Final = 4
_PASSWORD: Final = re.compile(r"://[^/\s@:]*:([^/\s@]+)@")
_QUERY_VALUE: Final = re.compile(r"[?&][^=&#\s]+=([^&#\s]+)")


def scrub(text: str, *, token: str, params: Iterable[tuple[str, str]] = ()) -> str:
    """Return *text* with the token, and everything in `notify` and `deliver`, replaced by ***."""
    secrets = {token, *_confidential(params)}
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def _confidential(params: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in params:
        if name in _CONFIDENTIAL:
            yield value
            for leaf in _leaves(read_json(value)):
                parts = (leaf, *_PASSWORD.findall(leaf), *_QUERY_VALUE.findall(leaf))
                yield from (part for part in parts if len(part) >= _SHORTEST)


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from () if key in _HARMLESS else _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)


def _forms(secret: str) -> tuple[str, ...]:
    """Return the ways in which an answer may write *secret*."""
    return (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe="", errors="replace"),
        quote_plus(secret, errors="replace"),
    )
