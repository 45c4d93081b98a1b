"""A daemon with its server, an upstream, and a token: what a client of our endpoint meets."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scheduler.sandbox import Sandbox, SandboxSettings
from tests.e2e.rig import QUICK, Daemon, House, house, serving, wait_for
from tests.web.test_process import wait_for_server

HTTP = '\n[http]\nlisten = "127.0.0.1:0"\n'


@dataclass(slots=True, kw_only=True)
class Door:
    """Where a client asks, with which token, and what stands behind it."""

    house: House
    daemon: Daemon
    sandbox: Sandbox
    address: str
    token: str
    servers: int = 1

    @property
    def server(self) -> int:
        """Return the process of the server that answers now."""
        return wait_for_server(self.daemon, self.servers)[1]

    @property
    def headers(self) -> dict[str, str]:
        """Return what a client says of itself."""
        return {"Authorization": f"Bearer {self.token}"}

    def post(self, path: str, **options: Any) -> httpx.Response:
        """Send a trigger."""
        headers = {**self.headers, **options.pop("headers", {})}
        return httpx.post(self.address + path, headers=headers, timeout=240, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask something."""
        headers = {**self.headers, **options.pop("headers", {})}
        return httpx.get(self.address + path, headers=headers, timeout=240, **options)

    def start_daemon(self, **environ: str) -> None:
        """Start another daemon, after the last has ended."""
        self.daemon = self.house.start(environ=environ, wait=True)
        self.servers = 1
        self.address, _ = wait_for_server(self.daemon)

    def jobs(self, collector: str) -> list[Any]:
        """Return the jobs that the upstream has of a collector."""
        jobs = list(self.sandbox.account.book.jobs.values())
        return [job for job in jobs if job.order.collector == collector]


@contextmanager
def open_door(
    folder: Path, url: str, *, scope: str = "admin", settings: SandboxSettings = QUICK
) -> Iterator[Door]:
    """Start all of it, with a token of *scope*."""
    with (
        serving(settings) as (sandbox, base_url),
        house(folder, url, base_url, schedules=0, more=HTTP) as built,
    ):
        daemon = built.start(wait=True)
        address, _ = wait_for_server(daemon)
        limit = ["--collector", "a", "--collector", "b"] if scope == "trigger" else []
        made = built.call("token", "create", "client", "--scope", scope, *limit, "--json")
        token = json.loads(made.stdout)["token"]
        yield Door(house=built, daemon=daemon, sandbox=sandbox, address=address, token=token)


def peak_of(pid: int) -> int:
    """Return the most memory that a process had resident, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) // 1024


__all__ = ["Door", "open_door", "peak_of", "wait_for"]
