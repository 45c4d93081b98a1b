"""Pausing and resuming, freezing and thawing, firing and overriding: an operator's hand."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Path, Query
from pydantic import Field, model_validator
from starlette.responses import Response

from scheduler.actions.overrides import override_field, restore_fields
from scheduler.actions.parked_inputs import Unparked, unpark_inputs
from scheduler.actions.pauses import (
    freeze,
    pause_account,
    pause_queue,
    pause_schedule,
    resume_account,
    resume_queue,
    resume_schedule,
    thaw,
)
from scheduler.actions.queues import Flushed, flush_counted
from scheduler.actions.schedules import prepare_fire, set_enabled, write_fire
from scheduler.domain.durations import parse_duration
from scheduler.domain.schedule_override import FIELDS
from scheduler.views.accounts import AccountView
from scheduler.views.page import Page
from scheduler.views.queues import QueueView
from scheduler.views.runs import RunView
from scheduler.views.schedules import FreezeView, OverrideView, ScheduleView, get_freeze
from scheduler.web.access import Caller, Operator
from scheduler.web.api.making import Confirm, Once, meant
from scheduler.web.api.named import files_of
from scheduler.web.api.words import Asked, Lasting, Moment, Name, Why, example
from scheduler.web.models import answers, reply
from scheduler.web.problems import shape
from scheduler.web.routing import Router

router = Router()


class Stop(Asked):
    """Why something is stopped."""

    model_config = example(reason="stock-taking")

    reason: Why


class Ending(Stop):
    """Why, and when it ends: at a time, or after a while."""

    until: Moment | None = None
    """When it ends by itself."""
    lasting: Annotated[Lasting | None, Field(alias="for")] = None
    """How long it lasts, such as `2h`, in place of `until`."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.until is not None and self.lasting is not None:
            raise ValueError("until and for exclude each other: say one of them")
        return self

    async def end(self, caller: Caller) -> datetime | None:
        """Return when it ends, by the database's clock; None for never."""
        if self.lasting is not None:
            return await caller.ask(_after, self.lasting)
        return self.until


def _after(conn: object, lasting: str, *, now: datetime) -> datetime:
    return now + parse_duration(lasting)


class Pause(Ending):
    """Why, and until when; with neither `until` nor `for` until somebody resumes it."""

    model_config = example(reason="stock-taking", **{"for": "2h"})


@router.post("/schedules/{name}/pause", tags=["schedules"], **answers(ScheduleView, 404))
async def pause(caller: Operator, name: Name, body: Pause) -> Response:
    """Fire and send nothing of a schedule; what comes due is skipped, with this reason."""
    how = {"until": await body.end(caller), "reason": body.reason}
    return reply(await caller.act(pause_schedule, name, **how))


@router.post("/schedules/{name}/resume", tags=["schedules"], **answers(ScheduleView, 404, 409))
async def resume(caller: Operator, name: Name, confirm: Confirm = None) -> Response:
    """Let a paused schedule fire again; 409 where runs wait, which are sent at once."""
    return reply(await caller.act(meant, resume_schedule, confirm, name))


class Unpark(Asked):
    """Which parked inputs; without `ids` all of the schedule."""

    model_config = example(ids=[17])

    ids: Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=1000)] | None = None
    """Their ids, as `parked-inputs` lists them."""


@router.post("/schedules/{name}/unpark", tags=["schedules"], **answers(Unparked, 404))
async def unpark(caller: Operator, name: Name, body: Unpark) -> Response:
    """Let a schedule send parked inputs again, from its next run on."""
    return reply(await caller.act(unpark_inputs, name, body.ids))


@router.post("/schedules/{name}/enable", tags=["schedules"], **answers(ScheduleView, 404))
async def enable(caller: Operator, name: Name) -> Response:
    """Let a schedule fire, from now on; of a file's, until that is applied again."""
    return reply(await caller.act(set_enabled, name, enabled=True))


@router.post("/schedules/{name}/disable", tags=["schedules"], **answers(ScheduleView, 404))
async def disable(caller: Operator, name: Name) -> Response:
    """Fire a schedule no more; of a file's, until that is applied again: a pause lasts."""
    return reply(await caller.act(set_enabled, name, enabled=False))


@router.post(
    "/schedules/{name}/fire",
    tags=["schedules"],
    **answers(Page[RunView], 404, 409, status_code=201),
)
async def fire(
    caller: Operator,
    once: Once,
    name: Name,
    confirm: Confirm = None,
    past_pauses: Annotated[
        bool, Query(description="Send it while its schedule or queue is paused or frozen, too.")
    ] = False,
) -> Response:
    """Fire a schedule now, beside its timetable; very many, or past a pause, only on a word."""
    prepared = await caller.look_outside(prepare_fire, name, files=files_of(caller))
    return await once.act(
        caller,
        meant,
        write_fire,
        confirm,
        prepared,
        config=caller.site.config,
        past_pauses=past_pauses,
    )


class NewOverride(Ending):
    """What a field is for a while: until then, or for so long."""

    model_config = example(value="7", until="2099-01-01T00:00:00Z", reason="sale")

    value: str | None = Field(max_length=1000)
    """As text, such as `"7"`; null: what it is by default."""

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.until is None and self.lasting is None:
            raise ValueError("say when it ends: until or for, one of the two")
        return self


_FIELD = shape(f"^({'|'.join(FIELDS)})$", f"must be one of {', '.join(FIELDS)}")
OverrideField = Annotated[str, Path(pattern=_FIELD, description="Which field.")]


@router.put(
    "/schedules/{name}/overrides/{field}", tags=["schedules"], **answers(Page[OverrideView], 404)
)
async def override(
    caller: Operator, name: Name, field: OverrideField, body: NewOverride
) -> Response:
    """Let a field of a schedule be otherwise for a while, whoever owns the row; tells all."""
    how = {"until": await body.end(caller), "reason": body.reason}
    return reply(await caller.act(override_field, name, field, body.value, **how))


@router.delete(
    "/schedules/{name}/overrides/{field}",
    tags=["schedules"],
    **answers(Page[OverrideView], 404, 409),
)
async def restore(caller: Operator, name: Name, field: OverrideField) -> Response:
    """End the override of a field; answers with what ended."""
    return reply(await caller.act(restore_fields, name, field))


@router.delete(
    "/schedules/{name}/overrides", tags=["schedules"], **answers(Page[OverrideView], 404, 409)
)
async def restore_all(caller: Operator, name: Name) -> Response:
    """End all overrides of a schedule; answers with what ended."""
    return reply(await caller.act(restore_fields, name))


@router.post("/queues/{name}/pause", tags=["queues"], **answers(Page[QueueView], 404))
async def pause_a_queue(caller: Operator, name: Name, body: Stop) -> Response:
    """Send nothing of a queue until it is resumed; what comes due waits in it."""
    return reply(await caller.act(pause_queue, name, reason=body.reason))


@router.post("/queues/{name}/resume", tags=["queues"], **answers(Page[QueueView], 404, 409))
async def resume_a_queue(caller: Operator, name: Name, confirm: Confirm = None) -> Response:
    """Let a paused queue send again; 409 where runs wait in it, which are sent at once."""
    return reply(await caller.act(meant, resume_queue, confirm, name))


@router.post("/queues/{name}/flush", tags=["queues"], **answers(Flushed, 404, 409))
async def flush(caller: Operator, once: Once, name: Name, confirm: Confirm = None) -> Response:
    """Skip every run that waits in a queue; 409 tells how many: repeat it with `confirm`."""
    return await once.act(caller, meant, flush_counted, confirm, name, status_code=200)


@router.post("/accounts/{name}/pause", tags=["accounts"], **answers(AccountView, 404))
async def pause_an_account(caller: Operator, name: Name, body: Stop) -> Response:
    """Send nothing for an account until it is resumed."""
    return reply(await caller.act(pause_account, name, reason=body.reason))


@router.post("/accounts/{name}/resume", tags=["accounts"], **answers(AccountView, 404, 409))
async def resume_an_account(caller: Operator, name: Name, confirm: Confirm = None) -> Response:
    """Let an account send again, whoever paused it; 409 where runs wait, which are sent at once."""
    return reply(await caller.act(meant, resume_account, confirm, name))


_SCOPE = shape(
    r"^(all|collector:.+|label:.+)$", "must be all, collector:NAME or label:NAME of schedules"
)


class NewFreeze(Pause):
    """What is to be frozen, why, and until when."""

    model_config = example(scope="label:dear", reason="budget")

    scope: str = Field(max_length=300, pattern=_SCOPE)
    """`all`, `collector:NAME` or `label:NAME`."""


@router.post("/freezes", tags=["freezes"], **answers(FreezeView, 404, 409, status_code=201))
async def freeze_scope(caller: Operator, once: Once, body: NewFreeze) -> Response:
    """Fire and send nothing of many schedules."""
    end = await body.end(caller)
    return await once.act(caller, _freeze, body.scope, reason=body.reason, until=end)


def _freeze(conn: Any, scope: str, **how: Any) -> FreezeView:
    freeze(conn, scope, **how)
    return get_freeze(conn, scope, now=how["now"])


Scope = Annotated[str, Path(max_length=300, description="`all`, `collector:NAME` or `label:NAME`.")]


@router.delete("/freezes/{scope}", tags=["freezes"], **answers(None, 409, status_code=204))
async def thaw_scope(caller: Operator, scope: Scope, confirm: Confirm = None) -> Response:
    """End a freeze; 409 where runs wait, which are sent at once."""
    await caller.act(meant, thaw, confirm, scope)
    return Response(status_code=204)
