"""Firing, pausing, resuming and labelling all schedules that a filter chooses: all, or none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import Field
from starlette.responses import Response

from scheduler.actions.several import (
    fire_several,
    label_chosen,
    pause_chosen,
    prepare_fires,
    resume_chosen,
)
from scheduler.views.page import Page
from scheduler.views.runs import RunView
from scheduler.views.schedule_list import MOST_FIRED, list_chosen, list_paused, list_to_label
from scheduler.views.schedules import ScheduleView
from scheduler.web.access import Admin, Caller, Operator
from scheduler.web.api.holds import Pause
from scheduler.web.api.making import Confirm, Once, meant
from scheduler.web.api.named import files_of
from scheduler.web.api.schedules import Wanted
from scheduler.web.api.words import Asked, example
from scheduler.web.models import answers, model_of, reply
from scheduler.web.routing import Router

router = Router(tags=["schedules"])


@dataclass(frozen=True, slots=True)
class Chosen:
    """Those that a filter chooses, and whether it is meant, or only asked which they are."""

    once: Once
    wanted: Wanted
    confirm: Confirm = None
    dry_run: Annotated[bool, Query(description="Only tell which schedules those are.")] = False

    async def act(self, caller: Caller, action: Callable[..., Any], **how: Any) -> Response:
        """Carry *action* out on all of them, or on none."""
        words = (action, self.confirm, self.wanted)
        return await self.once.act(caller, meant, *words, status_code=200, **how)


All = Annotated[Chosen, Depends()]

_SCHEDULES: dict[str, Any] = answers(Page[ScheduleView], 404, 409)
_RUNS: dict[str, Any] = answers(Page[RunView], 404, 409, status_code=201)
_RUNS["responses"][200] = {
    "model": model_of(Page[ScheduleView]),
    "description": "Only told: `dry_run`.",
}


@router.post("/schedules/fire", **_RUNS)
async def fire_many(caller: Operator, chosen: All) -> Response:
    """
    Fire all schedules that a filter chooses, beside their timetables; 200 of them at most.

    409 tells how many runs that makes, all paid for: repeat it with `confirm`. All, or none.
    """
    found = await caller.ask(list_chosen, chosen.wanted, most=MOST_FIRED)
    if chosen.dry_run:
        return reply(found)
    names = [row.name for row in found]
    prepared = await caller.look_outside(prepare_fires, names, files=files_of(caller))
    words = (fire_several, chosen.confirm, prepared)
    return await chosen.once.act(caller, meant, *words, config=caller.site.config)


@router.post("/schedules/pause", **_SCHEDULES)
async def pause_many(caller: Operator, chosen: All, body: Pause) -> Response:
    """
    Pause all schedules that a filter chooses; those that are paused, too, unless `paused=false`.

    409 tells how many they are: repeat it with `confirm`. All of them, or none.
    """
    if chosen.dry_run:
        return reply(await caller.ask(list_chosen, chosen.wanted))
    until = await body.end(caller)
    return await chosen.act(caller, pause_chosen, reason=body.reason, until=until)


@router.post("/schedules/resume", **_SCHEDULES)
async def resume_many(caller: Operator, chosen: All) -> Response:
    """
    Resume those that are paused of all schedules that a filter chooses.

    409 tells how many they are, and how many runs wait: repeat it with `confirm`. All, or none.
    """
    if chosen.dry_run:
        return reply(await caller.ask(list_paused, chosen.wanted))
    return await chosen.act(caller, resume_chosen)


class Labelling(Asked):
    """A label, and whether it is put on or taken off."""

    model_config = example(label="eu")

    label: str = Field(min_length=1, max_length=100)
    """The label."""
    is_on: bool = True
    """Whether it is put on; false takes it off."""


@router.post("/schedules/label", **_SCHEDULES)
async def label_many(caller: Admin, chosen: All, body: Labelling) -> Response:
    """
    Put a label on all schedules that a filter chooses, or take it off; not on those of a file.

    409 tells how many change, and how many a file owns: repeat it with `confirm`. All, or none.
    """
    how: dict[str, Any] = {"label": body.label, "is_on": body.is_on}
    if chosen.dry_run:
        return reply((await caller.ask(list_to_label, chosen.wanted, **how)).schedules)
    return await chosen.act(caller, label_chosen, defaults=caller.site.config.defaults, **how)
