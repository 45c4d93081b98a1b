"""`/api/v1/events`: what happens, as a stream that can be taken up again, or asked for."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Header, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from scheduler.domain.errors import DatabaseError
from scheduler.views.events import EventView, Place, newest_place
from scheduler.views.json_document import json_value
from scheduler.views.page import Page
from scheduler.web.access import Caller
from scheduler.web.access import Listener as MayListen
from scheduler.web.api.event_hub import EventHub, Listener, hub_of
from scheduler.web.guard import guard_of
from scheduler.web.models import answers, reply
from scheduler.web.problems import Refused
from scheduler.web.routing import Router

router = Router(tags=["events"])

STREAM = "text/event-stream"
_BEAT_SECONDS = 5.0

_SAID: dict[str, Any] = answers(Page[EventView])
_SAID["responses"][200]["content"] = {
    STREAM: {
        "schema": {"type": "string"},
        "example": 'id: 0.17.4\nevent: run\ndata: {"id": "0.17.4", "kind": "run", …}\n\n',
    }
}

After = Annotated[
    str | None,
    Query(max_length=60, description="Only what happened after the event of this id."),
]


@router.get("/events", **_SAID)
async def events(
    caller: MayListen,
    request: Request,
    after: After = None,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=60, description="The same, for a stream."),
    ] = None,
) -> Response:
    """
    Tell what happens: with `Accept: text/event-stream` as it does, otherwise what did so far.

    A stream begins now, or after `Last-Event-ID`; a comment comes every few seconds. It ends with
    its token, with the server, and for a listener that is too slow: take it up again by the last
    id. Without a stream, ask again with `next` as `after`; without `after` only `next` is told.
    """
    hub = hub_of(caller.site)
    begin = last_event_id or after  # a browser comes back to the address that it began with
    place = None if begin is None else Place.read(begin)
    if place is not None:
        await hub.check(place)
    if STREAM not in request.headers.get("accept", ""):
        return await _so_far(hub, place)
    listener = await hub.join(caller.name)
    headers = {"X-Accel-Buffering": "no"}
    stream = _stream(request, caller, hub, listener, place)
    return StreamingResponse(stream, media_type=STREAM, headers=headers)


async def _so_far(hub: EventHub, place: Place | None) -> Response:
    if place is None:
        now = await hub.site.db.read(newest_place)
        return reply({"items": [], "next": str(now)})
    found, following = await hub.read(place)
    return reply({"items": found, "next": str(following)})


async def _stream(
    request: Request, caller: Caller, hub: EventHub, listener: Listener, place: Place | None
) -> AsyncIterator[bytes]:
    sent = listener.place if place is None else place
    try:
        yield b": it begins\n\n"
        with suppress(DatabaseError, Refused):
            async for past in _past(hub, place):
                sent = Place.read(past.id)
                yield _written(past)
            async for event in _live(request, caller, listener):
                if event is None:
                    yield b": still there\n\n"
                elif (following := sent.after(event)) is not None:
                    sent = following
                    yield _written(replace(event, id=str(sent)))
    finally:
        hub.leave(listener)


async def _past(hub: EventHub, place: Place | None) -> AsyncIterator[EventView]:
    """Yield what happened since *place*, up to now."""
    while place is not None:
        before = place
        events, place = await hub.read(place)
        for event in events:
            yield event
        if place == before:
            return


async def _live(
    request: Request, caller: Caller, listener: Listener
) -> AsyncIterator[EventView | None]:
    """Yield events as they come, None every few seconds; ends where it must, Refused included."""
    loop = asyncio.get_running_loop()
    beat_at = loop.time() + _BEAT_SECONDS
    over = loop.create_task(listener.is_over.wait())
    stopping = loop.create_task(caller.site.stopping.wait())
    following = loop.create_task(listener.waiting.get())
    try:
        while not (over.done() or stopping.done()):
            left = max(beat_at - loop.time(), 0)
            waited = (over, stopping, following)
            await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if following.done() and not listener.is_over.is_set():
                yield following.result()
                following = loop.create_task(listener.waiting.get())
            if loop.time() >= beat_at:
                beat_at = loop.time() + _BEAT_SECONDS
                if not await _may_go_on(request, caller):
                    return
                yield None
    finally:
        for task in (over, stopping, following):
            task.cancel()


async def _may_go_on(request: Request, caller: Caller) -> bool:
    """Tell whether the token is still good, and of the same scope; Refused where it is not."""
    try:
        again = await guard_of(request).identify(request)
    except DatabaseError:
        return True  # nothing is read meanwhile that could be told
    return again.scope is caller.scope and again.name == caller.name


def _written(event: EventView) -> bytes:
    data = json.dumps(json_value(event), ensure_ascii=False)
    return f"id: {event.id}\nevent: {event.kind}\ndata: {data}\n\n".encode()
