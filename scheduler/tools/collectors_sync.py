"""The account's collectors, and schedules that the vendor keeps for them, as definitions."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import tomlkit

from scheduler.domain.account_questions import AccountCall, NativeSchedule, UpstreamCollector
from scheduler.domain.timestamps import display_time
from scheduler.storage import account_questions, accounts, definitions, schedules
from scheduler.storage.database import Connection
from scheduler.tools.toml_item import toml_item

_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncView:
    """
    What is to be added to a file for *account*: its *text*, schedules disabled.

    *new* are the upstream's ids that are in no definition yet, *known* those that are. *warnings*
    name what would fire twice, and what could not be read. *told_at* is when the upstream told;
    while it *is_open*, a daemon is to ask.
    """

    account: str
    is_open: bool
    told_at: datetime | None
    trouble: str | None
    new: tuple[str, ...]
    known: tuple[str, ...]
    warnings: tuple[str, ...]
    text: str


@dataclass(slots=True)
class _Found:
    """The tables that are made, by section and name, the comments above them, and warnings."""

    taken: Mapping[str, set[str]]
    tables: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    comments: dict[tuple[str, str], str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def add(self, section: str, name: str, keys: dict[str, Any], comment: str = "") -> str:
        """Add a table under *name*, or one like it that is free; return which."""
        free, number = name, 1
        while free in self.taken[section] or free in self.tables.get(section, {}):
            number += 1
            free = f"{name}-{number}"
        self.tables.setdefault(section, {})[free] = keys
        if comment:
            self.comments[section, free] = comment
        return free


def read_sync(conn: Connection, account: str) -> SyncView:
    """Return what was last told of the account's collectors, as definitions; raises NotFound."""
    accounts.get_account(conn, account)
    asked = account_questions.find_question(conn, account, AccountCall.COLLECTORS)
    told_at, listed = (asked.answered_at, asked.collectors) if asked else (None, ())
    rows = definitions.list_collectors(conn)
    known = {row.collector_id: row.name for row in rows if row.account == account}
    enabled = _enabled(conn)
    found = _Found(_names(conn))
    for one in listed:
        _import(found, one, account, known.get(one.id), enabled)
    return SyncView(
        account=account,
        is_open=asked is not None and asked.next_at is not None,
        told_at=told_at,
        trouble=asked.trouble if asked else None,
        new=tuple(one.id for one in listed if one.id not in known),
        known=tuple(one.id for one in listed if one.id in known),
        warnings=tuple(found.warnings),
        text=_text(found, account, told_at),
    )


def _names(conn: Connection) -> dict[str, set[str]]:
    """Return which names are taken."""
    return {
        "collectors": {row.name for row in definitions.list_collectors(conn)},
        "batches": {row.name for row in definitions.list_batches(conn)},
        "schedules": {row.name for row in schedules.list_schedules(conn)},
    }


def _enabled(conn: Connection) -> dict[str, str]:
    """Return, by collector, a schedule of it that fires."""
    return {row.collector: row.name for row in schedules.list_schedules(conn) if row.enabled}


def _import(
    found: _Found,
    one: UpstreamCollector,
    account: str,
    known: str | None,
    enabled: Mapping[str, str],
) -> None:
    name = known or found.add(
        "collectors",
        _slug(one.name or one.id),
        {"id": one.id, "account": account},
        "not active at the upstream" if one.is_active is False else "",
    )
    if one.schedule is None:
        return
    words = _words(one.schedule)
    if name in enabled:
        found.warnings.append(
            f"collector {name} ({one.id}): schedule {enabled[name]} fires it here, and the vendor"
            f" starts it by itself ({words}): both fire, and both are billed"
        )
    else:
        found.warnings.append(
            f"collector {name} ({one.id}): the vendor starts it by itself ({words}); switch that"
            " off in its panel before its schedule here is enabled, or both fire"
        )
    timetable = _timetable(one.schedule)
    if "manual" in timetable:
        found.warnings.append(
            f"collector {name} ({one.id}): {words!r} is no timetable that is known here: its"
            " schedule is `manual`, write its own"
        )
    batch = found.add(
        "batches",
        f"{name}-native",
        {"inputs": [{"url": "https://example.com/"}]},
        "the vendor's list tells no inputs: write what it sends",
    )
    keys = {"collector": name, "batch": batch, **timetable, "enabled": False}
    found.add("schedules", f"{name}-native", keys, f"the vendor's own: {words}")


def _words(native: NativeSchedule) -> str:
    start = f"from {native.start}" if native.start else ""
    return " ".join(" ".join(part.split()) for part in (native.frequency or "", start) if part)


def _timetable(native: NativeSchedule) -> dict[str, Any]:
    """Return the timetable's keys, in UTC; `manual` for words that nobody knows."""
    start = native.start or "00:00"
    day, weekday = 1, 1
    try:
        at = datetime.fromisoformat(start)
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
        hour, minute, day, weekday = at.hour, at.minute, at.day, at.isoweekday() % 7
    except ValueError:
        read = _TIME.search(start)
        if read is None:
            return {"manual": True}
        hour, minute = int(read[1]), int(read[2])
    crons = {
        "hourly": f"{minute} * * * *",
        "daily": f"{minute} {hour} * * *",
        "weekly": f"{minute} {hour} * * {weekday}",
        "monthly": f"{minute} {hour} {day} * *",
    }
    cron = crons.get((native.frequency or "").strip().lower())
    return {"manual": True} if cron is None else {"cron": cron, "timezone": "UTC"}


def _slug(text: str) -> str:
    return _NOT_IN_A_NAME.sub("-", text.lower()).strip("-")[:_LONGEST_NAME] or "collector"


def _text(found: _Found, account: str, told_at: datetime | None) -> str:
    document = tomlkit.document()
    if told_at is not None:
        for line in _lines(f"collectors of account {account}, {display_time(told_at)}"):
            document.add(tomlkit.comment(line))
    for section, tables in found.tables.items():
        parent = tomlkit.table(is_super_table=True)
        for name, keys in tables.items():
            parent.add(name, _table(keys, found.comments.get((section, name))))
        document.add(section, parent)
    return tomlkit.dumps(document)


def _table(keys: Mapping[str, Any], comment: str | None) -> tomlkit.items.Table:
    table = tomlkit.table()
    for line in _lines(comment):
        table.add(tomlkit.comment(line))
    for key, value in keys.items():
        table.add(key, toml_item(value))
    return table


def _lines(comment: str | None) -> Iterable[str]:
    printable: Iterator[str] = (line for line in (comment or "").splitlines() if line)
    return ("".join(char for char in line if char.isprintable()) for line in printable)
