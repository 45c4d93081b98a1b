"""The clients of the upstream, one for each account row, and what else an account needs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial

import structlog

from scheduler.clock import Clock
from scheduler.config.account_rules import AccountLimits
from scheduler.config.secrets import SecretReference
from scheduler.domain.errors import InvalidAccount, SchedulerError
from scheduler.domain.records import Account
from scheduler.domain.tally import REQUEST_TIME, REQUESTS, Tally
from scheduler.upstream import Dca, UpstreamTransport, Wire

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Upstreams:
    """
    Opens one client for each account, and a new one when the account's row changes.

    Each request is counted in the *tally*.
    """

    request_timeout: timedelta
    clock: Clock
    read_secret: Callable[[SecretReference], str]
    limits: Callable[[], AccountLimits] = AccountLimits
    tally: Tally = field(default_factory=Tally)
    wire: Wire = UpstreamTransport
    _open: dict[str, tuple[Account, Dca]] = field(default_factory=dict)
    _replaced: list[Dca] = field(default_factory=list)

    def client(self, account: Account) -> Dca:
        """Return the client of *account* as its row is now."""
        opened = self._open.get(account.name)
        if opened is not None and _same_upstream(opened[0], account):
            return opened[1]
        if opened is not None:
            self._replaced.append(opened[1])  # its requests in flight go on
        wrong = self.limits().what_is_wrong(account)
        if wrong is not None:
            log.error("account_invalid", account=account.name, error=wrong)
        client = Dca(
            # Nothing is sent without a token: this name is never looked up.
            base_url=account.base_url if wrong is None else "https://account.invalid",
            token=lambda: self._token(account),
            total_timeout=self.request_timeout,
            connections=account.max_in_flight,
            clock=self.clock,
            observe=partial(self._count, account.name),
            wire=self.wire,
        )
        self._open[account.name] = (account, client)
        return client

    def _count(self, account: str, call: str, answer_class: str, seconds: float) -> None:
        self.tally.add(REQUESTS, account, call, answer_class)
        self.tally.observe(REQUEST_TIME, seconds, call)

    def times_at(self, boot: float) -> dict[str, datetime]:
        """Return what the clocks of the accounts' upstreams showed then, where one has told."""
        times = {name: client.time_at(boot) for name, (_, client) in [*self._open.items()]}
        return {name: moment for name, moment in times.items() if moment is not None}

    def token_fingerprint(self, account: Account) -> str:
        """Return what tells one token of the account from the next, and not what it is."""
        try:
            token = self._token(account)
        except SchedulerError:
            return "unreadable"
        return _fingerprint(token)

    def why_unusable(self, account: Account) -> str | None:
        """Say why nothing can be sent to the account: its row is wrong, or its token not there."""
        if (wrong := self.limits().what_is_wrong(account)) is not None:
            return wrong
        try:
            self._token(account)
        except SchedulerError as error:
            return f"the token cannot be read: {error}"
        return None

    def _token(self, account: Account) -> str:
        wrong = self.limits().what_is_wrong(account)
        if wrong is not None:
            raise InvalidAccount(f"accounts.{account.name}", [wrong])
        return self.read_secret(_reference(account.token))

    async def close(self) -> None:
        """Close every client."""
        for client in [*self._replaced, *(client for _, client in self._open.values())]:
            await client.close()


# Asked for with every request.
_reference = lru_cache(SecretReference.parse)


@lru_cache
def _fingerprint(token: str) -> str:
    return hashlib.sha256(f"dca-scheduler\0{token}".encode()).hexdigest()[:16]


def _same_upstream(before: Account, account: Account) -> bool:
    return (before.base_url, before.token, before.max_in_flight) == (
        account.base_url,
        account.token,
        account.max_in_flight,
    )
