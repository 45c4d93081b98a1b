"""The rules of an account's row: those that hold for the file, and the limits that it sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from scheduler.config.model import Config
from scheduler.config.secrets import SecretReference
from scheduler.config.values import VENDOR, check_base_url, is_of_this_machine, origin_of
from scheduler.domain.errors import SchedulerError
from scheduler.domain.records import Account


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """
    Where a row may have a token sent: to *hosts*, if there are any.

    A token that the file names goes only where the file has it sent, *bound_to*: whoever writes a
    row cannot take it elsewhere. One that it does not name may be any secret that the daemon can
    read: without *hosts* it goes only to the vendor, to this machine, and where the file sends
    *any*.
    """

    hosts: frozenset[str] = frozenset()
    bound_to: Mapping[str, frozenset[str]] = field(default_factory=dict)
    any: frozenset[str] | None = None
    _found: dict[tuple[str, str], str | None] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the limits that *config* sets."""
        nowhere: frozenset[str] = frozenset()
        bound = {str(secret): nowhere for secret in config.secrets.values()}
        for account in config.accounts.values():
            token = str(account.token)
            bound[token] = bound.get(token, nowhere) | {origin_of(account.base_url)}
        own = {origin_of(account.base_url) for account in config.accounts.values()}
        listed = {origin_of(host) for host in config.limits.hosts}
        any_token = frozenset(own | {origin_of(VENDOR)})
        return cls(frozenset(listed | own) if listed else frozenset(), bound, any_token)

    def what_is_wrong(self, account: Account) -> str | None:
        """Say why the row cannot be used; None if it can."""
        asked = (account.base_url, account.token)  # before each request: found out once
        if asked not in self._found:
            self._found[asked] = self._what_is_wrong(account)
        return self._found[asked]

    def _what_is_wrong(self, account: Account) -> str | None:
        wrong = what_is_wrong(account)
        if wrong is not None:
            return wrong
        host = origin_of(account.base_url)
        if self.hosts and host not in self.hosts:
            return f"base_url {host} is none of the hosts of [limits]: add it there if it is meant"
        if host not in self.bound_to.get(account.token, {host}):
            return (
                f"token {account.token} may not be sent to {host}: the configuration file has it"
                " sent elsewhere, or keeps it for something else"
            )
        if not self.hosts and not self._may_take_any(account, host):
            return (
                f"token {account.token} may not be sent to {host}: the configuration file names"
                " neither; add the host to [limits] hosts if that is meant"
            )
        return None

    def _may_take_any(self, account: Account, host: str) -> bool:
        is_free = self.any is None or host in self.any or is_of_this_machine(account.base_url)
        return is_free or account.token in self.bound_to


def what_is_wrong(account: Account) -> str | None:
    """Say why the row cannot be used, by the rules that hold for any file; None if it can."""
    return _wrong(account.base_url, account.token)


@lru_cache
def _wrong(base_url: str, token: str) -> str | None:
    try:
        check_base_url(base_url)
        SecretReference.parse(token)
    except ValueError as error:
        return f"base_url {error}"
    except SchedulerError as error:
        return f"token: {error}"
    return None
