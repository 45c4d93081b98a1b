"""From a configuration to the rows that it wants: the one place where keys become columns."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.config import (
    BatchDefinition,
    CalendarDefinition,
    CollectorDefinition,
    Config,
    ScheduleDefinition,
)

Columns = Mapping[str, Any]


def definition_rows(config: Config) -> Iterator[tuple[str, Mapping[str, Columns]]]:
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
        {name: _schedule(one, config) for name, one in config.schedules.items()},
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
    return {
        "file": one.file,
        "inputs": _json(one.inputs),
        "send_as": one.send_as,
        "dedupe": one.dedupe,
        "max_inputs_per_trigger": one.max_inputs_per_trigger,
        "required": ",".join(one.required) or None,
        "max_change_percent": one.max_change_percent,
    }


def _schedule(one: ScheduleDefinition, config: Config) -> dict[str, Any]:
    return {
        "collector": one.collector,
        "batch": one.batch,
        "cron": one.cron,
        "every": one.every,
        "calendar_interval": one.calendar_interval,
        "at": one.at,
        "manual": one.manual,
        "after": one.after,
        "after_when": one.after_when,
        "anchor": one.anchor,
        "timezone": one.timezone or config.defaults.timezone,
        "dst_gap": one.dst_gap,
        "dst_fold": one.dst_fold,
        "valid_from": one.valid_from,
        "valid_until": one.valid_until,
        "jitter": one.jitter,
        "spread": one.spread,
        "exclude": ", ".join(one.exclude) or None,
        "max_runs": one.max_runs,
        "overlap": one.overlap,
        "queue": one.queue,
        "confirm_cancel": one.confirm_cancel,
        "priority": one.priority,
        "misfire_grace": one.misfire_grace or config.defaults.misfire_grace,
        "catch_up": one.catch_up or config.defaults.catch_up,
        "catch_up_window": one.catch_up_window,
        "catch_up_max": one.catch_up_max,
        "catch_up_pace": one.catch_up_pace,
        "pause_after_failures": one.pause_after_failures,
        # A comma at both ends, so that SQL finds a label as ',name,'.
        "labels": f",{','.join(one.labels)}," if one.labels else None,
        "enabled": one.enabled,
        **_trigger_columns(one),
    }


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
