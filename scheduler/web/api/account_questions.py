"""`/api/v1/accounts/{name}/collectors`: what the upstream tells of them, as definitions."""

from starlette.responses import Response

from scheduler.actions.account_questions import ask_collectors
from scheduler.tools.collectors_sync import SyncView, read_sync
from scheduler.web.access import Operator, Reader
from scheduler.web.api.words import Name
from scheduler.web.models import answers, reply
from scheduler.web.routing import Router

router = Router(prefix="/accounts", tags=["accounts"])


@router.get("/{name}/collectors", **answers(SyncView, 404))
async def collectors(caller: Reader, name: Name) -> Response:
    """Return what the upstream last told of the account's collectors, as TOML to add to a file."""
    return reply(await caller.ask(read_sync, name))


@router.post("/{name}/collectors/sync", **answers(SyncView, 404, status_code=202))
async def sync(caller: Operator, name: Name) -> Response:
    """Have a daemon ask for them; `is_open` of the list is false once that was done."""
    await caller.act(ask_collectors, name)
    return reply(await caller.ask(read_sync, name), 202)
