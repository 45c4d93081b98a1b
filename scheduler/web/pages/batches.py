"""`/batches`: lists of inputs, where they are, what would be sent of them, who uses them."""

from typing import Final

from starlette.requests import Request

from scheduler.views.batch_page import read_batch_page
from scheduler.views.batches import page_batches
from scheduler.web.access import Reader
from scheduler.web.api.named import files_of
from scheduler.web.api.words import Name
from scheduler.web.pages.page import Pages, Shown
from scheduler.web.pages.schedule_pictures import points_of
from scheduler.web.pages.times import zone_for
from scheduler.web.pictures.plots import draw_rows

router = Pages()

_LIMIT: Final = 100
_FIRST: Final = 10


@router.show("/batches")
async def batches(caller: Reader, request: Request, after: str | None = None) -> Shown:
    """List the batches by name."""
    return Shown(
        template="batches.html",
        title="Batches",
        data=await caller.ask(page_batches, limit=_LIMIT, after=after or None),
        terminal="dca-scheduler batches list",
        http="/api/v1/batches",
        values={"is_first": not after},
    )


@router.show("/batches/{name}")
async def batch(caller: Reader, request: Request, name: Name, read: bool = False) -> Shown:
    """Show one batch; what is in its file only where that is asked for."""
    how = {"limit": _FIRST, "files": files_of(caller), "reads_file": read}
    found = await caller.ask(read_batch_page, name, **how)
    sent = points_of(found.sent, lambda run: run.inputs)
    none = "no run of it has been accepted yet"
    return Shown(
        template="batch.html",
        title=f"Batch {name}",
        data=found,
        terminal=f"dca-scheduler batches show {name}",
        http=f"/api/v1/batches/{name}/contents",
        is_live=False,
        values={"sent": draw_rows(sent, zone=zone_for(request, None), noun="inputs", none=none)},
    )
