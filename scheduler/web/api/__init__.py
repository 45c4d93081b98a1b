"""The resources of /api/v1: each module has a `router`, named here."""

from fastapi import Depends

from scheduler.web.api import (
    account_questions,
    alerts,
    apply,
    collection_acts,
    costs,
    definitions,
    events,
    holds,
    named,
    results,
    run_actions,
    runs,
    schedules,
    several,
    status,
)
from scheduler.web.api.words import only_known
from scheduler.web.routing import Router

router = Router(prefix="/api/v1", dependencies=[Depends(only_known)])

for resource in (
    account_questions,
    costs,
    status,
    alerts,
    collection_acts,
    runs,
    run_actions,
    results,
    schedules,
    several,
    named,
    definitions,
    holds,
    apply,
    events,
):
    router.include_router(resource.router)
