"""Collectors as they are stored, decoded."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from scheduler.domain.access import ANY_COLLECTOR
from scheduler.domain.errors import Conflict, NotFound
from scheduler.domain.records import Collector, CollectorColumns
from scheduler.domain.suggestions import did_you_mean
from scheduler.storage import accounts, definitions
from scheduler.storage.database import Connection
from scheduler.views.decoding import Duration, view


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorView(CollectorColumns[Duration, dict[str, Any]]):
    """An upstream scraper that may be run, with the defaults of its triggers."""


def list_collectors(conn: Connection) -> tuple[CollectorView, ...]:
    """Return every collector, by name."""
    return tuple(view(CollectorView, row) for row in definitions.list_collectors(conn))


def get_collector(conn: Connection, name: str) -> CollectorView:
    """Return the collector of that name; raises NotFound."""
    return view(CollectorView, definitions.get_collector(conn, name))


def find_called(
    conn: Connection, said: str, *, among: Collection[str] = (ANY_COLLECTOR,)
) -> Collector:
    """
    Return the collector that is called *said* or has that id, of those that *among* names.

    One that is not configured has the defaults, if an account accepts such. Raises NotFound with
    the way out, and Conflict where several have the id.
    """
    known = definitions.list_collectors(conn)
    allowed = [
        collector for collector in known if not {collector.name, ANY_COLLECTOR}.isdisjoint(among)
    ]
    named = [collector for collector in allowed if collector.name == said]
    found = named or [collector for collector in allowed if collector.collector_id == said]
    if len(found) > 1:
        names = " and ".join(collector.name for collector in found)
        raise Conflict(f"collectors {names} have the id {said}: say which by its name")
    if found:
        return found[0]
    if {said, ANY_COLLECTOR}.isdisjoint(among):
        raise NotFound(f"no collector is called {said!r}, or this token may not trigger it")
    return get_or_accept(conn, said)


def get_or_accept(conn: Connection, name: str) -> Collector:
    """Return the collector of that name, or the id as one with the defaults; else NotFound."""
    known = {collector.name: collector for collector in definitions.list_collectors(conn)}
    if name in known:
        return known[name]
    accepting = [
        account for account in accounts.list_accounts(conn) if account.accept_unknown_collectors
    ]
    if len(accepting) > 1 and name.startswith("c_"):
        names = " and ".join(account.name for account in accepting)
        raise Conflict(f"accounts {names} accept unknown collectors: configure {name!r} in one")
    if not accepting or not name.startswith("c_"):
        raise NotFound(
            f"no collector is called {name!r}: name it in [collectors], or let its account"
            f" accept_unknown_collectors{did_you_mean(name, known)}"
        )
    return _unknown(name, accepting[0].name)


def _unknown(collector_id: str, account: str) -> Collector:
    return Collector(
        name=collector_id,
        account=account,
        collector_id=collector_id,
        deadline=None,
        no_downloads=False,
        version=None,
        trigger_name=None,
        notify=None,
        deliver=None,
        max_running=100,
        max_unresolved=1,
        max_attempts=None,
        backoff_initial=None,
        backoff_max=None,
        on_unconfirmed=None,
    )
