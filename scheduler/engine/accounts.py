"""The clients of the upstream, one for each account row, and what else an account needs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from scheduler.clock import Clock
from scheduler.config.secrets import SecretReference
from scheduler.domain.errors import SchedulerError
from scheduler.domain.records import Account
from scheduler.upstream import Dca


@dataclass(slots=True, kw_only=True)
class Upstreams:
    """Opens one client for each account, and a new one when the account's row changes."""

    request_timeout: timedelta
    clock: Clock
    read_secret: Callable[[SecretReference], str]
    _open: dict[str, tuple[Account, Dca]] = field(default_factory=dict)
    _replaced: list[Dca] = field(default_factory=list)

    def client(self, account: Account) -> Dca:
        """Return the client of *account* as its row is now."""
        known = self._open.get(account.name)
        if known is not None and _same_upstream(known[0], account):
            return known[1]
        if known is not None:
            self._replaced.append(known[1])  # its requests in flight go on
        client = Dca(
            base_url=account.base_url,
            token=lambda: self._token(account),
            total_timeout=self.request_timeout,
            connections=account.max_in_flight,
            clock=self.clock,
        )
        self._open[account.name] = (account, client)
        return client

    def token_mark(self, account: Account) -> str:
        """Return what tells one token of the account from the next, and not what it is."""
        try:
            token = self._token(account)
        except SchedulerError:
            return "unreadable"
        return _mark(token)

    def _token(self, account: Account) -> str:
        return self.read_secret(_reference(account.token))

    async def close(self) -> None:
        """Close every client."""
        for client in [*self._replaced, *(client for _, client in self._open.values())]:
            await client.close()


# Asked for with every request.
_reference = lru_cache(SecretReference.parse)


@lru_cache
def _mark(token: str) -> str:
    return hashlib.sha256(f"dca-scheduler\0{token}".encode()).hexdigest()[:16]


def _same_upstream(known: Account, account: Account) -> bool:
    return (known.base_url, known.token, known.max_in_flight) == (
        account.base_url,
        account.token,
        account.max_in_flight,
    )
