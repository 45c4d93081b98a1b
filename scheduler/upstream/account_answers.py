"""Reads what the upstream tells of an account. Pure, and lenient: little of it is documented."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from scheduler.domain.account_questions import (
    Balance,
    BilledBy,
    BilledLine,
    NativeSchedule,
    UpstreamCollector,
)
from scheduler.domain.answers import Refused, Unanswered
from scheduler.upstream.fields import (
    read_fields,
    read_flag,
    read_id,
    read_json,
    read_moment,
    read_number,
    read_text,
)
from scheduler.upstream.question_answers import read_failure
from scheduler.upstream.response import Response

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONEY: Final = ("cost", "costs", "usd", "amount", "total")
_SUBJECT: Final = ("id", "collector", "job", "name")


def read_collectors(response: Response) -> tuple[UpstreamCollector, ...] | Refused | Unanswered:
    """Read the answer of /dca/collectors_list; a row without a readable id is passed over."""
    value = _success(response)
    rows = value.get("data", value.get("collectors")) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        return refusal_of(response)
    return tuple(one for row in rows if (one := _read_collector(row)) is not None)


def _read_collector(row: object) -> UpstreamCollector | None:
    fields = read_fields(row)
    id_ = read_id(fields.get("id"))
    if id_ is None:
        return None
    schedule = read_fields(fields.get("schedule"))
    native = NativeSchedule(
        frequency=read_text(schedule.get("frequency")), start=read_text(schedule.get("start"))
    )
    return UpstreamCollector(
        id=id_,
        name=read_text(fields.get("name")),
        is_active=read_flag(fields.get("active")),
        last_run=read_moment(fields.get("lastrun")),
        schedule=native if native.frequency or native.start else None,
    )


def read_balance(response: Response) -> Balance | Refused | Unanswered:
    """Read the answer of /customer/balance; one that tells no number is none."""
    fields = read_fields(_success(response))
    pending = read_number(fields.get("pendingcosts"))
    found = Balance(
        balance=read_number(fields.get("balance")),
        credit=read_number(fields.get("credit")),
        prepayment=read_number(fields.get("prepayment")),
        pending_costs=read_number(fields.get("pendingbalance")) if pending is None else pending,
    )
    return refusal_of(response) if found == Balance(balance=None) else found


def read_bill(response: Response, by: BilledBy) -> tuple[BilledLine, ...] | Refused | Unanswered:
    """Read the answer of /costs/export/json: by day what each subject cost, sums left out."""
    value = _success(response)
    if isinstance(value, dict) and isinstance(value.get("data"), dict | list):
        value = value["data"]
    if not isinstance(value, dict | list):
        return refusal_of(response)
    return tuple(_lines(value, by))


def _lines(value: object, by: BilledBy) -> Iterator[BilledLine]:
    for day, of_day in _days(value):
        for subject, cost in _costs(of_day):
            if subject != "total" and cost is not None:
                yield BilledLine(day=day, by=by, subject=subject, money=cost)


def _days(value: object) -> Iterator[tuple[str, object]]:
    """Yield each day, whether it is a key or stands in a row."""
    if isinstance(value, Mapping):
        yield from ((key[:10], each) for key, each in value.items() if _DAY.match(key))
    elif isinstance(value, list):
        for row in value:
            day = row.get("date", row.get("day")) if isinstance(row, dict) else None
            if isinstance(day, str) and _DAY.match(day):
                yield day[:10], row


def _costs(of_day: object) -> Iterator[tuple[str, float | None]]:
    if isinstance(of_day, list):
        for row in of_day:
            yield from _costs(row)
        return
    if not isinstance(of_day, dict):
        return
    named = next((of_day[name] for name in _SUBJECT if isinstance(of_day.get(name), str)), None)
    if named is not None:
        yield named, _cost(of_day)
        return
    for key, cost in of_day.items():
        if isinstance(key, str) and key not in ("date", "day"):
            yield key, _cost(cost)


def _cost(value: object) -> float | None:
    if isinstance(value, dict):
        value = next((value[name] for name in _MONEY if name in value), None)
    return read_number(value)


def refusal_of(response: Response) -> Refused | Unanswered:
    """
    Say why there is no answer.

    One without the right is refused, too (403): of the token itself that says nothing.
    """
    status = response.status or 0
    if 400 <= status < 500 and status not in (408, 429) and not response.failure:
        return Refused(detail=response.words() or f"answered {status}", status=status)
    return read_failure(response)


def _success(response: Response) -> object:
    return read_json(response.body) if response.status == 200 and not response.failure else None
