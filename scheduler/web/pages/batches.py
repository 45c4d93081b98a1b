"""`/batches`: lists of inputs, where they are, what would be sent of them, who uses them."""

from typing import Final

from starlette.requests import Request

from scheduler.views.batch_page import read_batch_page
from scheduler.views.batches import page_batches
from scheduler.web.access import Reader
from scheduler.web.api.named import files_of
from scheduler.web.api.words import Name
from scheduler.web.pages.page import Pages, Shown

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
    return Shown(
        template="batch.html",
        title=f"Batch {name}",
        data=await caller.ask(read_batch_page, name, **how),
        terminal=f"dca-scheduler batches show {name}",
        http=f"/api/v1/batches/{name}/contents",
        is_live=False,
    )
