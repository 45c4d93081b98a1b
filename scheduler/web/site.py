"""What the routes of one server work with."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import HTTPConnection

from scheduler.clock import Clock, utc_now
from scheduler.config import Config, HttpSettings, LoadedConfig
from scheduler.views.opening import Database
from scheduler.web.lately import Lately


@dataclass(slots=True, kw_only=True)
class Site:
    """The database, the configuration and the settings of one server."""

    db: Database
    loaded: LoadedConfig
    settings: HttpSettings
    environ: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = utc_now
    wake: Callable[[], None] = lambda: None
    """Tell the daemon, if it is there, that a row was written."""
    relay: socket.socket | None = None
    """Over which the daemon takes questions for the upstream; None beside any daemon."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server ends: a stream that has no end of its own ends then."""
    config_error: str | None = None
    """Why the newest configuration is not in force; None where it is."""
    lately: Lately = field(default_factory=Lately)
    """What many ask for at once, read once for all."""
    hub: Any = None
    """Who reads events for all who listen; None while nobody has."""

    @property
    def config(self) -> Config:
        """Return the configuration in force."""
        return self.loaded.config


def site_of(request: HTTPConnection) -> Site:
    """Return the site that a request came to."""
    site: Site = request.app.state.site
    return site
