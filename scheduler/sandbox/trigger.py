"""Reads a trigger: its parameters, its inputs, and what is wrong with them (DCA, 1)."""

import json
import re
from collections.abc import Iterable
from datetime import timedelta

from scheduler.sandbox.answers import RequestRefused, SandboxCall
from scheduler.sandbox.bodies import Input, read_inputs
from scheduler.sandbox.jobs import Order
from scheduler.sandbox.settings import SandboxCollector, SandboxSettings

_DEADLINE = re.compile(r"(\d{1,9})([hms])")
_UNITS = {"h": 3600, "m": 60, "s": 1}


def read_order(call: SandboxCall, settings: SandboxSettings) -> Order:
    """
    Return what *call* asks for, or refuse it with the documented status.

    queue_next, queue and confirm_cancel may come together: only one order of that kind was seen in
    the wild (queue_next with queue), and none is documented as refused. `notify` and `deliver` are
    read but not carried out, `version` and `no_downloads` change nothing here.
    """
    collector = known_collector(call, settings)
    if collector.real_time:
        raise RequestRefused(400, "Cannot trigger a batch job with a real-time scraper.")
    for name in ("notify", "deliver"):
        _check_object(name, call.param(name))
    order = Order(
        collector=collector.id,
        inputs=read_inputs(call.content_type, call.body),
        name=call.param("name"),
        queue=call.param("queue"),
        confirm_cancel=call.param("confirm_cancel") == "1",
        deadline=_deadline(call.param("deadline")),
        peer=call.peer,
    )
    _check_schema(order.inputs, collector)
    return order


def known_collector(call: SandboxCall, settings: SandboxSettings) -> SandboxCollector:
    """Return the collector that *call* names; 400 if it names none, 404 if the account has none."""
    name = call.param("collector")
    if name is None:
        raise RequestRefused(400, "Missing collector parameter")
    for collector in settings.collectors:
        if collector.id == name:
            return collector
    if settings.collectors or not name.startswith("c_"):
        raise RequestRefused(404, f"Collector {name} not found")
    return SandboxCollector(id=name, required_fields=frozenset())


def _deadline(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = _DEADLINE.fullmatch(text)
    if not found:
        raise RequestRefused(400, "deadline must be a number and its unit: h, m or s")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _check_object(name: str, text: str | None) -> None:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RequestRefused(400, f"{name} must be a JSON object")


def _check_schema(inputs: Iterable[Input], collector: SandboxCollector) -> None:
    required, optional = collector.required_fields, collector.optional_fields
    for number, one in enumerate(inputs, 1):
        if missing := sorted(required - one.keys()):
            raise RequestRefused(422, f"Input {number} lacks the field {missing[0]!r}")
        if optional is not None and (unknown := sorted(one.keys() - required - optional)):
            raise RequestRefused(422, f"Input {number} has the unknown field {unknown[0]!r}")
