"""What every request that makes or changes something has in common: its key, its tag, its word."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from scheduler.actions.once import LONGEST_KEY, Answered, Key, act_once, if_meant
from scheduler.views.opening import Connection
from scheduler.web.access import Caller, takes_now
from scheduler.web.api.words import LARGEST_ID
from scheduler.web.models import reply
from scheduler.web.problems import shape

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_KEY,
        pattern=shape(r"^[!-~]+$", "must be plain characters without blanks, such as a UUID"),
        description="The same key and request again is the same answer, for a day; no second act.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=200,
        description="The ETag that it was read with: 412 where it was changed since.",
    ),
]
Confirm = Annotated[
    int | None,
    Query(
        ge=0,
        le=LARGEST_ID,
        description="The `count` of the 409 that asked for a word: so many are meant.",
    ),
]

REPLAYED = "Idempotent-Replayed"
"""The header of an answer that was given before, under the same key."""


@dataclass(frozen=True, slots=True)
class Making:
    """A request that makes something: once, whoever often it is sent under one key."""

    request: Request
    key: IdempotencyKey = None

    async def act(
        self,
        caller: Caller,
        action: Callable[..., Any],
        *words: Any,
        place: Callable[[Any], str] | None = None,
        status_code: int = 201,
        **named: Any,
    ) -> Response:
        """Carry *action* out in one transaction with its answer; *place* tells where it is then."""
        key = await self._known_as(caller)
        call = partial(_call, action, words, named)
        answered: Answered = await caller.act(_once, key, call)
        headers = {} if answered.is_new else {REPLAYED: "true"}
        if place is not None:
            headers["Location"] = place(answered.document)
        return reply(answered.document, status_code, headers)

    async def _known_as(self, caller: Caller) -> Key | None:
        if self.key is None:
            return None
        digest = hashlib.sha256()
        url = self.request.url
        for part in (self.request.method, url.path, url.query):
            digest.update(part.encode() + b"\0")
        digest.update(await self.request.body())
        return Key(token=caller.name, key=self.key, digest=digest.hexdigest())


Once = Annotated[Making, Depends()]


def meant(
    conn: Connection,
    action: Callable[..., Any],
    confirm: int | None,
    *words: Any,
    by: str,
    now: datetime,
    **named: Any,
) -> Any:
    """Carry out an action that may need a word, which *confirm* is."""
    moment = {"now": now} if takes_now(action) else {}
    return if_meant(
        conn,
        confirm,
        lambda confirmed: action(conn, *words, by=by, confirmed=confirmed, **moment, **named),
    )


def _once(
    conn: Connection, key: Key | None, call: Callable[..., Any], *, by: str, now: datetime
) -> Answered:
    return act_once(conn, key, lambda conn: call(conn, by=by, now=now), now=now)


def _call(
    action: Callable[..., Any],
    words: tuple[Any, ...],
    named: dict[str, Any],
    conn: Connection,
    *,
    by: str,
    now: datetime,
) -> Any:
    return action(conn, *words, by=by, now=now, **named)


def as_text(value: dict[str, Any] | None) -> str | None:
    """Return an object as the JSON text that a row keeps."""
    return None if value is None else json.dumps(value, ensure_ascii=False)
