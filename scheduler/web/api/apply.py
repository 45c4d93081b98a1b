"""`/api/v1/plan` and `/apply`: definitions as TOML, all or nothing; and the way back of a clock."""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import Body, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from scheduler.actions.apply import apply_definitions
from scheduler.actions.clock_reset import ResetSchedule, preview_reset, reset
from scheduler.actions.comparing import Change, Verb, shown_change
from scheduler.actions.definitions import is_current
from scheduler.config import Config, parse_config
from scheduler.domain.errors import ConfigError, Conflict, NeedsConfirmation, Stale
from scheduler.tools.definitions.plan import PlanView, plan_definitions, plan_view
from scheduler.views.json_document import json_value
from scheduler.views.opening import Connection
from scheduler.views.page import Page
from scheduler.web.access import Admin
from scheduler.web.api.making import Confirm, IfMatch, Once, meant
from scheduler.web.models import answers, reply
from scheduler.web.problems import Refused, shape
from scheduler.web.routing import Router

router = Router()

Document = Annotated[
    bytes,
    Body(media_type="application/toml", description="Definitions, as in a configuration file."),
]
Owner = Annotated[
    str,
    Query(
        pattern=shape(
            r"^[\w.-]{1,100}$", "must be 1 to 100 letters, digits, points, dashes and underscores"
        ),
        description="What the document is known by: schedules that leave it are paused.",
    ),
]
Prune = Annotated[
    bool, Query(description="Delete what came from a file or document and is not in this one.")
]


@router.post("/plan", tags=["definitions"], **answers(PlanView, 409))
async def plan(
    caller: Admin, document: Document, name: Owner = "default", prune: Prune = False
) -> Response:
    """Tell what applying a document would change, in rows and in runs; nothing is written."""
    config = await _read(document)
    how: dict[str, Any] = {"prune": prune, "file_id": _file_id(name)}
    found = await caller.ask(plan_definitions, config, **how)
    return reply(plan_view(found), headers={"ETag": _tag(found.changes)})


@router.post("/apply", tags=["definitions"], **answers(Page[Change], 409, 412))
async def apply(
    caller: Admin,
    once: Once,
    document: Document,
    name: Owner = "default",
    prune: Prune = False,
    tag: IfMatch = None,
    confirm: Confirm = None,
) -> Response:
    """
    Write a document's definitions, all or nothing, and tell what became of each.

    With the plan's ETag in `If-Match` it does what was planned, or nothing (412). 409 tells how
    many definitions would be deleted: repeat it with `confirm`. Accounts, which say where tokens
    are sent, are changed by a file on the server only.
    """
    config = await _read(document)
    how: dict[str, Any] = {"prune": prune, "file_id": _file_id(name), "tag": tag}
    return await once.act(caller, meant, _apply, confirm, config, status_code=200, **how)


def _apply(
    conn: Connection,
    config: Config,
    *,
    prune: bool,
    file_id: str,
    tag: str | None,
    by: str,
    now: datetime,
    confirmed: bool,
) -> list[Change]:
    plan = plan_definitions(conn, config, now=now, prune=prune, file_id=file_id)
    planned = plan.changes
    if not is_current(tag, _tag(planned)):
        raise Stale("the database was changed since the plan: nothing was written; plan again")
    accounts = [one.subject for one in planned if one.table == "accounts" and one.verb in _TOUCHES]
    if accounts:
        raise Conflict(
            f"{', '.join(accounts)}: accounts say where tokens are sent, and are changed by a file"
            " on the server only; nothing was written"
        )
    how: dict[str, Any] = {"prune": prune, "file_id": file_id, "expected": planned}
    how["confirmed"] = confirmed
    changes = apply_definitions(conn, config, by=by, now=now, **how)
    if plan.growth is not None and plan.growth.beyond and not plan.is_empty and not confirmed:
        count = len(plan.growth.beyond)
        raise NeedsConfirmation(f"a month would cost more than {count} budgets allow", count)
    return [shown_change(change) for change in changes]


_TOUCHES = (Verb.CREATED, Verb.UPDATED, Verb.DELETED)


async def _read(document: bytes) -> Config:
    try:
        return (await run_in_threadpool(parse_config, document, "the document")).config
    except ConfigError as wrong:
        raise Refused(
            422,
            "invalid-document",
            wrong.problems[0],
            errors=[{"detail": problem} for problem in wrong.problems],
        ) from None


def _file_id(name: str) -> str:
    return f"http:{name}"


def _tag(changes: list[Change]) -> str:
    text = json.dumps([json_value(change) for change in changes], sort_keys=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


@router.post("/clock/reset", tags=["status"], **answers(Page[ResetSchedule], 409))
async def reset_clock(
    caller: Admin,
    once: Once,
    confirm: Confirm = None,
    dry_run: Annotated[bool, Query(description="Only tell what would fire.")] = False,
) -> Response:
    """
    Let schedules fire again that a clock has decided too far; nothing of the past is fired.

    409 tells how many they are: repeat it with `confirm`.
    """
    if dry_run:
        return reply(await caller.ask(preview_reset))
    return await once.act(caller, meant, reset, confirm, status_code=200)
