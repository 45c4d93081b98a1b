"""`/configuration`: which values are in force, and from where; what differs from the file."""

from typing import Final

from starlette.requests import Request

from scheduler.tools.definitions.drift import list_drift
from scheduler.views.names import list_names
from scheduler.views.schedules import list_invalid
from scheduler.views.settings import list_settings
from scheduler.web.access import Reader
from scheduler.web.pages.page import Pages, Shown

router = Pages()

_EDITED: Final = ("collectors", "batches", "queues")


@router.show("/configuration")
async def configuration(caller: Reader, request: Request) -> Shown:
    """Show settings, drift, and rows that are set aside."""
    site = caller.site
    settings = list_settings(site.config, site.environ)
    drift = await caller.ask(list_drift, site.config)
    invalid = await caller.ask(list_invalid)
    names = {table: await caller.ask(list_names, table, prefix="") for table in _EDITED}
    return Shown(
        template="configuration.html",
        title="Configuration",
        data={"settings": settings, "drift": drift, "set_aside": invalid, "editable": names},
        terminal="dca-scheduler drift",
        http="/api/v1/drift",
        values={
            "file": site.loaded.path,
            "warnings": site.loaded.warnings,
            "config_error": site.config_error,
        },
    )
