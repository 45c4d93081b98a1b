"""Accounts that were paused for bad credentials send again once their token has changed."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from scheduler.engine.accounts import Upstreams
from scheduler.engine.loop import Wake
from scheduler.storage import accounts, audit
from scheduler.storage.database import Connection, Database

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsStep:
    """Look whether the token of a paused account is another one now."""

    db: Database
    upstreams: Upstreams
    wake_dispatch: Wake

    async def run(self, now: datetime) -> datetime | None:
        """Lift the pauses that a new token ends; a person's own pause is not one of them."""
        paused = await self.db.read(accounts.list_paused)
        if not paused:
            return None
        resumed = await self.db.write(partial(self._resume, names=list(paused), now=now))
        for name in resumed:
            log.info("account_resumed", account=name, why="its token has changed")
        if resumed:
            self.wake_dispatch()
        return None

    def _resume(self, conn: Connection, *, names: list[str], now: datetime) -> list[str]:
        resumed = []
        for name, brake in accounts.list_paused(conn).items():
            if name not in names or brake.paused_token is None:
                continue
            fingerprint = self.upstreams.token_fingerprint(accounts.get_account(conn, name))
            if fingerprint not in (brake.paused_token, "unreadable"):
                accounts.set_resumed(conn, name)
                audit.record_change(
                    conn,
                    by=audit.DAEMON,
                    action="resume",
                    subject=f"accounts.{name}",
                    columns={"paused_reason": (brake.paused_reason, None)},
                    now=now,
                )
                resumed.append(name)
        return resumed
