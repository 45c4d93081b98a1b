"""A request that is repeated under its key is carried out once, and answered the same again."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from scheduler.domain.errors import KeyReused, NeedsConfirmation
from scheduler.storage import runs
from scheduler.storage.database import Connection
from scheduler.storage.request_answers import RequestAnswer, claim_key, has_answer, keep_answer
from scheduler.views.json_document import json_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a request is known by: the *token* that asks, its *key*, and the digest of all of it."""

    token: str
    key: str
    digest: str


LONGEST_KEY: Final = 255
"""So many characters a client's key may have."""
_KEYS_OF_RUNS: Final = "http:"


def run_key(token: str, key: str) -> str:
    """Return what a run is known by that a *token* asks for under its *key*."""
    return f"{_KEYS_OF_RUNS}{token}:{key}"


def shown_key(key: str) -> str:
    """Return the key of a run as whoever asked for it wrote it."""
    return key.split(":", 2)[2] if key.startswith(_KEYS_OF_RUNS) else key


def check_key_of_run(conn: Connection, key: str) -> None:
    """Raise KeyReused if the *key* of a run to be made was that of a request of another kind."""
    if key.startswith(_KEYS_OF_RUNS):
        _, token, given = key.split(":", 2)
        if has_answer(conn, token, given):
            raise _reused(given)


def _reused(key: str) -> KeyReused:
    return KeyReused(f"key {key!r} was used for another request: take a new key for this one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The document of an answer; it *is_new*, or was given before under the same key."""

    document: Any
    is_new: bool


def act_once(
    conn: Connection, key: Key | None, act: Callable[[Connection], Any], *, now: datetime
) -> Answered:
    """
    Carry out *act* in this transaction, unless it was for the same request under the same key.

    What *act* returns is kept as JSON with what it does, or neither is. Raises KeyReused for
    another request under the key; after any other error the key is free again.
    """
    if key is None:
        return Answered(document=json_document(act(conn)), is_new=True)
    if runs.has_key(conn, run_key(key.token, key.key)):
        raise _reused(key.key)
    asked = RequestAnswer(
        token=key.token, key=key.key, digest=key.digest, answer=None, created_at=now
    )
    known = claim_key(conn, asked)
    if known is None:
        document = json_document(act(conn))
        keep_answer(conn, asked, json.dumps(document))
        return Answered(document=document, is_new=True)
    if known.digest != key.digest:
        raise _reused(key.key)
    return Answered(document=json.loads(known.answer or "null"), is_new=False)


def if_meant(conn: Connection, count: int | None, act: Callable[[bool], Any]) -> Any:
    """
    Carry out *act*; where it needs a word, only if *count* is the number that it would do.

    Where that number is none, no word is needed. What *act* wrote before it asked is taken back.
    """
    try:
        with conn.begin_nested():
            return act(False)
    except NeedsConfirmation as needed:
        if needed.count != (count or 0):
            raise
    return act(True)
