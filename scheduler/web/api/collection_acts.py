"""`/api/v1/collections/…/pause`, `resume`, `rerun`: what the upstream is asked to do with them."""

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from scheduler.actions.collection_requests import request_act, request_chosen
from scheduler.domain.collection_acts import CollectionAct
from scheduler.views.acting import list_chosen
from scheduler.views.collections import CollectionRequestView
from scheduler.views.opening import Connection
from scheduler.views.page import Page
from scheduler.views.runs import RunView
from scheduler.web.access import Operator
from scheduler.web.api.making import Confirm, Once, meant
from scheduler.web.api.run_actions import Why
from scheduler.web.api.runs import Wanted
from scheduler.web.api.words import COLLECTION_ID
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router(prefix="/collections", tags=["collections"])

FailedOnly = Annotated[
    bool, Query(description="Of a rerun: only the inputs that failed, as the upstream knows them.")
]


def _or_dry(said: dict[str, Any]) -> dict[str, Any]:
    """Say that it may also be only told of which runs, which is 200."""
    told = answers(Page[RunView])["responses"][200]
    said["responses"][200] = {**told, "description": "Only told: `dry_run`."}
    return said


def _one(conn: Connection, *words: Any, **named: Any) -> CollectionRequestView:
    """Ask for one, and return what was asked."""
    (asked,) = meant(conn, request_act, *words, **named)
    made: CollectionRequestView = asked
    return made


def _add_acts(act: CollectionAct) -> None:
    """Add the routes that have the upstream do *act*: to all that a filter chooses, and to one."""

    @router.post(
        f"/{act}",
        operation_id=f"{act}_collections",
        **_or_dry(answers(Page[CollectionRequestView], 404, 409, status_code=202)),
    )
    async def many(
        caller: Operator,
        once: Once,
        wanted: Wanted,
        confirm: Confirm = None,
        why: Why = None,
        failed_only: FailedOnly = False,
        dry_run: Annotated[bool, Query(description="Only tell of which runs.")] = False,
    ) -> Response:
        """
        Have the upstream do this with the collections of all runs that a filter chooses.

        Without `state` those that it is for, of a rerun those that are partial or failed. 409
        tells how many they are: repeat it with `confirm`. All are asked for, or none; the
        collection shows what came of it.
        """
        if dry_run:
            return reply((await caller.ask(list_chosen, act, wanted)).runs)
        return await once.act(
            caller,
            meant,
            request_chosen,
            confirm,
            act,
            wanted,
            status_code=202,
            why=why,
            failed_only=failed_only,
        )

    @router.post(
        f"/{{id}}/{act}",
        operation_id=f"{act}_collection",
        **answers(CollectionRequestView, 404, 409, status_code=202),
    )
    async def one(
        caller: Operator,
        once: Once,
        id: Annotated[str, Path(pattern=COLLECTION_ID, description="Its id.")],
        confirm: Confirm = None,
        why: Why = None,
        failed_only: FailedOnly = False,
    ) -> Response:
        """
        Have a daemon ask the upstream to do this with a collection; a rerun is paid for.

        The collection shows what came of it.
        """
        return await once.act(
            caller, _one, confirm, act, [id], status_code=202, why=why, failed_only=failed_only
        )


for _each in CollectionAct:
    _add_acts(_each)
