"""Each page among many runs and schedules: the processor time of a request in this process."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from sqlalchemy import text

import scheduler.__main__  # noqa: F401 # cycles are looked for as rarely as in the server
from bench.figures import Figure
from bench.place import ENVIRON, Databases, Place
from bench.rows import analyze, make_ended, store_timetables, store_usage
from scheduler.actions.api_tokens import create_token
from scheduler.clock import utc_now
from scheduler.config import HttpSettings, load_config
from scheduler.domain.access import Scope
from scheduler.storage.database import Database
from scheduler.web.app import create_server
from scheduler.web.pages.page import PATHS
from scheduler.web.pages.rendering import compile_templates
from scheduler.web.site import Site

if TYPE_CHECKING:
    from bench.measures import Sizes

SCHEDULES = 1000
DAYS = 30
TARGET = "200 ms"
_TICK = os.sysconf("SC_CLK_TCK")
_NAMES = {
    "/schedules/{name}": "/schedules/s2",
    "/collectors/{name}": "/collectors/k1",
    "/batches/{name}": "/batches/one",
    "/runs/retry": "/runs/retry?schedule=s2",
}


def pages(made: Databases, sizes: "Sizes") -> Iterator[Figure]:
    """Yield what each page costs among the runs of a month; the most is what it costs at first."""
    for kind in ("sqlite", "postgresql"):
        with made.place(kind, "http://127.0.0.1:1") as place, Database(place.url) as db:
            _fill(db, sizes.history)
            figures = asyncio.run(_open_all(place, db, partial(_spent, _server_of(db))))
            for path, taken in figures.items():
                name = f"{sizes.history:,} runs, {kind}: {path}"
                yield Figure(name=name, unit="ms", values=taken, target=TARGET)


def _fill(db: Database, history: int) -> None:
    now = utc_now()
    store_timetables(db, SCHEDULES)
    make_ended(db, history, SCHEDULES, since=now - timedelta(days=DAYS), days=DAYS)
    store_usage(db, SCHEDULES, until=now, days=DAYS)
    analyze(db)


async def _open_all(
    place: Place, db: Database, spent: Callable[[], float]
) -> dict[str, list[float]]:
    """Return for each page the processor time, in ms, of some requests, one after the other."""
    compile_templates()  # as the server does at its start
    loaded = load_config(place.config, os.environ | ENVIRON)
    with db.writing() as conn:
        token = create_token(conn, "b", scope=Scope.ADMIN, by="bench", now=utc_now()).token
    site = Site(db=db, loaded=loaded, settings=HttpSettings(listen="127.0.0.1:0"))
    transport = httpx.ASGITransport(create_server(site))
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}
    taken: dict[str, list[float]] = {}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers=headers
    ) as client:
        for path in sorted(PATHS):
            asked = _NAMES.get(path, path.replace("{run_id}", "7"))
            for _ in range(6):
                site.lately.forget()
                began = spent()
                answer = await client.get(asked)
                taken.setdefault(path, []).append((spent() - began) * 1e3)
                if answer.status_code not in (200, 404):
                    raise RuntimeError(f"{asked}: {answer.status_code} {answer.text[:300]}")
    return taken


def _server_of(db: Database) -> int | None:
    """Return the process that PostgreSQL's are children of; None for SQLite."""
    if db.file is not None:
        return None
    with db.reading() as conn:
        backend = conn.scalar(text("SELECT pg_backend_pid()"))
    return int(_words(backend)[1])


def _spent(server: int | None) -> float:
    """Return the processor time of this process by now, and of PostgreSQL's if there is one."""
    ours = time.process_time()
    if server is None:
        return ours
    ticks = sum(map(int, _words(server)[11:15]))
    for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        with suppress(OSError):  # it has ended, and its server has its ticks
            ticks += sum(map(int, _words(child)[11:13]))
    return ours + ticks / _TICK


def _words(process: int | str) -> list[str]:
    """Return what the kernel says of a process, from its state on."""
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
