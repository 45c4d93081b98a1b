"""The definitions of a configuration become rows; what a person owns in a row stays."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from scheduler.config import (
    BatchDefinition,
    CalendarDefinition,
    CollectorDefinition,
    Config,
    ScheduleDefinition,
)
from scheduler.domain.errors import Conflict
from scheduler.domain.records import Origin
from scheduler.storage import owned
from scheduler.storage.database import Connection

Columns = Mapping[str, Any]


class Verb(StrEnum):
    """What applying did to a definition."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    LEFT_ALONE = "left_alone"  # came from a file once, and is not in this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One definition, what was done to it, and the columns that differed: (before, after)."""

    table: str
    name: str
    verb: Verb
    columns: Mapping[str, tuple[Any, Any]]


def apply_definitions(conn: Connection, config: Config, *, now: datetime) -> list[Change]:
    """
    Write the configuration's definitions, all or nothing, and return what became of each.

    A row that a person made by hand is never touched: the same name in the file is a
    Conflict. What is not in the file is left alone. New and edited timetables count from
    *now* on: applying fires nothing.
    """
    changes = []
    clashes = []
    for table, wanted in definition_rows(config, now=now):
        known = owned.list_rows(conn, table)
        for name, columns in wanted.items():
            row = known.get(name)
            if row is not None and row["origin"] != Origin.FILE:
                clashes.append(f"{table}.{name}")
                continue
            changes.append(_write(conn, table, name, columns, row))
        changes += [
            Change(table=table, name=name, verb=Verb.LEFT_ALONE, columns={})
            for name, row in known.items()
            if name not in wanted and row["origin"] == Origin.FILE
        ]
    if clashes:
        raise Conflict(
            f"{', '.join(clashes)}: the database holds a definition of that name which was not"
            " made by a file; rename one of them, or set the row's origin to 'file'"
        )
    return changes


def _write(
    conn: Connection, table: str, name: str, columns: Columns, row: Columns | None
) -> Change:
    if row is None:
        owned.insert_row(conn, table, {"name": name, "origin": Origin.FILE, **columns})
        return Change(table=table, name=name, verb=Verb.CREATED, columns={})
    kept = _CREATED_ONLY.get(table, frozenset())
    differing = {
        column: (row[column], value)
        for column, value in columns.items()
        if column not in kept and row[column] != value
    }
    if not differing:
        return Change(table=table, name=name, verb=Verb.UNCHANGED, columns={})
    owned.update_row(conn, table, name, {column: new for column, (_, new) in differing.items()})
    return Change(table=table, name=name, verb=Verb.UPDATED, columns=differing)


_CREATED_ONLY = {"schedules": frozenset({"created_at"})}


def definition_rows(
    config: Config, *, now: datetime
) -> Iterator[tuple[str, Mapping[str, Columns]]]:
    """Yield each table with the rows that *config* wants in it, by name; first what others name."""
    yield (
        "accounts",
        {
            name: {
                "base_url": account.base_url,
                "token": str(account.token),
                "max_in_flight": account.max_in_flight,
                "requests_per_second": account.requests_per_second,
            }
            for name, account in config.accounts.items()
        },
    )
    yield "calendars", {name: {"rules": _rules(one)} for name, one in config.calendars.items()}
    yield (
        "queues",
        {
            name: {"queue_order": queue.order, "max_depth": queue.max_depth}
            for name, queue in config.queues.items()
        },
    )
    yield "collectors", {name: _collector(one) for name, one in config.collectors.items()}
    yield "batches", {name: _batch(one) for name, one in config.batches.items()}
    yield (
        "schedules",
        {name: _schedule(one, config, now) for name, one in config.schedules.items()},
    )


def _rules(calendar: CalendarDefinition) -> str:
    parts = list(calendar.days)
    if calendar.ics is not None:
        parts.append(Path(calendar.ics).read_text(encoding="utf-8-sig").strip())
    return "\n".join(parts)


def _trigger_columns(one: CollectorDefinition | ScheduleDefinition) -> dict[str, Any]:
    return {
        "deadline": one.deadline,
        "no_downloads": one.no_downloads,
        "version": one.version,
        "trigger_name": one.name,
        "notify": _json(one.notify),
        "deliver": _json(one.deliver),
        "max_attempts": one.max_attempts,
        "first_pause": one.first_pause,
        "longest_pause": one.longest_pause,
        "on_unconfirmed": one.on_unconfirmed,
    }


def _collector(one: CollectorDefinition) -> dict[str, Any]:
    return {
        "account": one.account,
        "collector_id": one.id,
        "max_running": one.max_running,
        "max_unsettled": one.max_unsettled,
        **_trigger_columns(one),
    }


def _batch(one: BatchDefinition) -> dict[str, Any]:
    return {"file": one.file, "inputs": _json(one.inputs), "send_as": one.send_as}


def _schedule(one: ScheduleDefinition, config: Config, now: datetime) -> dict[str, Any]:
    return {
        "collector": one.collector,
        "batch": one.batch,
        "cron": one.cron,
        "every": one.every,
        "calendar_interval": one.calendar_interval,
        "at": one.at,
        "manual": one.manual,
        "anchor": one.anchor,
        "timezone": one.timezone or config.defaults.timezone,
        "dst_gap": one.dst_gap,
        "dst_fold": one.dst_fold,
        "valid_from": one.valid_from,
        "valid_until": one.valid_until,
        "jitter": one.jitter,
        "spread": one.spread,
        "exclude": ", ".join(one.exclude) or None,
        "queue": one.queue,
        "confirm_cancel": one.confirm_cancel,
        "priority": one.priority,
        "misfire_grace": one.misfire_grace or config.defaults.misfire_grace,
        "catch_up": one.catch_up or config.defaults.catch_up,
        "enabled": one.enabled,
        "created_at": now,
        **_trigger_columns(one),
    }


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
