"""What the web's tests share: a real server on a free port, and clients with tokens."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from scheduler.actions.api_tokens import create_token
from scheduler.actions.apply import apply_definitions
from scheduler.clock import utc_now
from scheduler.config import HttpSettings, LoadedConfig, load_config
from scheduler.domain.access import Scope
from scheduler.storage.database import Database
from scheduler.web.app import create_app
from scheduler.web.serving import serve_site
from scheduler.web.site import Site
from scheduler.web.sockets import listen, url_of

ENVIRON = {
    "DCA_SCHEDULER__ACCOUNTS__MAIN__TOKEN": '{ env = "DCA_API_TOKEN" }',
    "DCA_SCHEDULER__COLLECTORS__PRODUCTS__ID": "c_products",
    "DCA_SCHEDULER__COLLECTORS__NEWS__ID": "c_news",
    "DCA_SCHEDULER__BATCHES__PAGES__INPUTS": '[{ url = "https://example.com/1" }]',
    "DCA_SCHEDULER__SCHEDULES__NIGHTLY__COLLECTOR": "products",
    "DCA_SCHEDULER__SCHEDULES__NIGHTLY__BATCH": "pages",
    "DCA_SCHEDULER__SCHEDULES__NIGHTLY__CRON": "0 2 * * *",
    "DCA_SCHEDULER__HTTP__LISTEN": "127.0.0.1:0",
    "DCA_SCHEDULER__DAEMON__SHUTDOWN_GRACE": "5s",
}
"""Two collectors, a batch, a schedule; the database's URL comes with the test."""

MINE = "products"
"""The one collector that the trigger token may trigger."""


@dataclass(slots=True)
class Served:
    """A server, its database, and a token of each scope."""

    site: Site
    url: str
    tokens: dict[Scope, str]
    wakes: list[None] = field(default_factory=list)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    @property
    def db(self) -> Database:
        """Its database."""
        return self.site.db

    def ask(
        self, method: str, path: str, scope: Scope | None = Scope.READ, **options: Any
    ) -> httpx.Response:
        """Send one request with the token of *scope*, without one for None."""
        headers = dict(options.pop("headers", {}))
        if scope is not None:
            headers.setdefault("Authorization", f"Bearer {self.tokens[scope]}")
        return self.client.request(method, self.url + path, headers=headers, **options)

    def get(self, path: str, scope: Scope | None = Scope.READ, **options: Any) -> httpx.Response:
        """GET *path*."""
        return self.ask("GET", path, scope, **options)

    def post(self, path: str, scope: Scope | None = Scope.ADMIN, **options: Any) -> httpx.Response:
        """POST to *path*."""
        return self.ask("POST", path, scope, **options)


@contextmanager
def serving(database_url: str, **http: object) -> Iterator[Served]:
    """
    Serve a database, which has ENVIRON's definitions then, by the keys *http* of [http].

    A real uvicorn in a thread of this process.
    """
    loaded = load_config(None, {**ENVIRON, "DCA_SCHEDULER__DATABASE__URL": database_url})
    assert loaded.config.http is not None
    given = {"listen": "127.0.0.1:0", "requests_per_second": 1e5, **http}
    settings = HttpSettings.model_validate(given)
    with Database(database_url, by="http") as db:
        tokens = _prepare(db, loaded)
        wakes: list[None] = []
        site = Site(
            db=db,
            loaded=loaded,
            settings=settings,
            environ=ENVIRON,
            wake=lambda: wakes.append(None),
        )
        with running(site) as url:
            served = Served(site=site, url=url, tokens=tokens, wakes=wakes)
            with served.client:
                yield served


def _prepare(db: Database, loaded: LoadedConfig) -> dict[Scope, str]:
    now = utc_now()
    with db.writing() as conn:
        apply_definitions(conn, loaded.config, by="test", now=now)
        return {
            scope: create_token(
                conn,
                f"a-{scope}",
                scope=scope,
                collectors=[MINE] if scope is Scope.TRIGGER else [],
                by="test",
                now=now,
            ).token
            for scope in Scope
        }


@contextmanager
def running(site: Site) -> Iterator[str]:
    """Serve a site in a thread of this process, and give its address."""
    create_app(site)  # what is wrong with it is told here, and not in a thread
    listening = listen(site.settings)
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()
    thread = threading.Thread(
        target=loop.run_until_complete, args=(serve_site(site, listening, stopping),), daemon=True
    )
    url = url_of(listening)
    thread.start()
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(60)
        assert not thread.is_alive()
        loop.close()


def raw(served: Served, request: bytes, *, seconds: float = 60) -> bytes:
    """Send these very bytes; return everything that comes until the server closes."""
    import socket

    host, port = served.url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=seconds) as wire:
        wire.sendall(request)
        return b"".join(iter(partial(wire.recv, 65536), b""))
