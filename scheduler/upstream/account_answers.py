"""Reads what the upstream tells of an account. Pure, and lenient: little of it is documented."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from scheduler.domain.account_questions import (
    Balance,
    Bill,
    BilledBy,
    BilledLine,
    NativeSchedule,
    UpstreamCollector,
)
from scheduler.domain.answers import Refused, Unanswered
from scheduler.upstream.fields import (
    read_answer,
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
_SHOWN: Final = 60
"""So much of what cannot be is shown."""
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
    fields = read_answer(_success(response))
    pending = read_number(fields.get("pendingcosts"))
    found = Balance(
        balance=read_number(fields.get("balance")),
        credit=read_number(fields.get("credit")),
        prepayment=read_number(fields.get("prepayment")),
        pending_costs=read_number(fields.get("pendingbalance")) if pending is None else pending,
    )
    return refusal_of(response) if found == Balance(balance=None) else found


def read_bill(response: Response, by: BilledBy, *, before: date) -> Bill | Refused | Unanswered:
    """
    Read the answer of /costs/export/json: by day what each subject cost, sums left out.

    What cannot be is left out with a doubt: a day that is none, or not *before* that one, and a
    cost that is no number, or negative. The rest counts.
    """
    value = _success(response)
    if isinstance(value, dict) and isinstance(value.get("data"), dict | list):
        value = value["data"]
    if not isinstance(value, dict | list):
        return refusal_of(response)
    told = [
        (day, subject, cost)
        for day, of_day in _days(value)
        for subject, cost in _costs(of_day)
        if subject != "total"
    ]
    lines = [_line(by, before, *each) for each in told]
    return Bill(
        lines=tuple(line for line in lines if line is not None),
        doubt=_doubt(by, [each for each, line in zip(told, lines, strict=True) if line is None]),
    )


def _line(by: BilledBy, before: date, day: str, subject: str, cost: object) -> BilledLine | None:
    money = read_number(cost)
    is_known = money is not None and money >= 0 and _is_day(day) and day < before.isoformat()
    return BilledLine(day=day, by=by, subject=subject, money=money or 0.0) if is_known else None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _doubt(by: BilledBy, left_out: Sequence[tuple[str, str, object]]) -> str | None:
    if not left_out:
        return None
    day, subject, cost = left_out[0]
    said = json.dumps(cost)[:_SHOWN]
    return (
        f"{len(left_out)} of the costs by {by} that it told cannot be, and count for nothing: the"
        f" first is {said} on {day[:_SHOWN]!r} for {subject[:_SHOWN]!r}"
    )


def _days(value: object) -> Iterator[tuple[str, object]]:
    """Yield each day, whether it is a key or stands in a row; with them what tells no day."""
    if isinstance(value, Mapping):
        has_day = any(map(_DAY.match, value))
        for key, each in value.items():
            if _DAY.match(key) or not (has_day or key == "total"):
                yield key[:10], each
    elif isinstance(value, list):
        for row in value:
            day = row.get("date", row.get("day")) if isinstance(row, dict) else None
            yield day[:10] if isinstance(day, str) else "", row


def _costs(of_day: object) -> Iterator[tuple[str, object]]:
    if isinstance(of_day, list):
        for row in of_day:
            yield from _costs(row)
    elif not isinstance(of_day, dict):
        if of_day:
            yield "", of_day
    elif named := next(
        (of_day[name] for name in _SUBJECT if isinstance(of_day.get(name), str)), ""
    ):
        yield named, _cost(of_day)
    else:
        for key, cost in of_day.items():
            if key not in ("date", "day"):
                yield key, _cost(cost)


def _cost(value: object) -> object:
    if isinstance(value, dict):
        return next((value[name] for name in _MONEY if name in value), value)
    return value


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
