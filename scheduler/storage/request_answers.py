"""What requests under a key were answered with: whoever asks again gets the same."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from scheduler.storage.access_tables import request_answers
from scheduler.storage.dialect import insert_new
from scheduler.storage.rows import record


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswer:
    """A request of a token under a *key*, by the *digest* of what it asked; *answer* is JSON."""

    token: str
    key: str
    digest: str
    answer: str | None
    created_at: datetime


def claim_key(conn: Connection, new: RequestAnswer) -> RequestAnswer | None:
    """
    Keep a request under its key; return the one that is there already, if there is.

    Of two at once the second waits here for the end of the first.
    """
    values = {
        "token": new.token,
        "key": new.key,
        "digest": new.digest,
        "answer": new.answer,
        "created_at": new.created_at,
    }
    inserted = insert_new(request_answers).execution_options(preserve_rowcount=True)
    if conn.execute(inserted, values).rowcount:
        return None
    rows = conn.execute(select(request_answers).where(_is(new))).mappings()
    return record(RequestAnswer, rows.one())


def has_answer(conn: Connection, token: str, key: str) -> bool:
    """Tell whether a request of *token* is kept under *key*."""
    table = request_answers.c
    return conn.scalar(select(table.key).where(table.token == token, table.key == key)) is not None


def keep_answer(conn: Connection, asked: RequestAnswer, answer: str) -> None:
    """Keep what a request under a key was answered with."""
    conn.execute(update(request_answers).where(_is(asked)).values(answer=answer))


def delete_old(conn: Connection, *, before: datetime) -> None:
    """Forget the requests of *before*."""
    conn.execute(delete(request_answers).where(request_answers.c.created_at < before))


def _is(asked: RequestAnswer) -> ColumnElement[bool]:
    return and_(request_answers.c.token == asked.token, request_answers.c.key == asked.key)
