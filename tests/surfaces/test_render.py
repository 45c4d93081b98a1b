"""Tables and JSON."""

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from scheduler.cli.render import cell, fit, one_line
from scheduler.domain.records import Account
from scheduler.views.json_document import json_value

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("widths", "room", "fitted"),
    [
        ({"a": 10, "b": 10}, 40, {"a": 10, "b": 10}),
        ({"a": 10, "b": 40}, 32, {"a": 10, "b": 20}),
        ({"a": 30, "b": 40}, 42, {"a": 20, "b": 20}),
        ({"a": 4, "b": 40, "c": 4}, 20, {"a": 4, "b": 8, "c": 4}),
        ({"a": 50, "b": 50}, 10, {"a": 6, "b": 6}),
        ({"collection_id": 20, "b": 20}, 10, {"collection_id": 13, "b": 6}),
        ({"a": 10, "b": 10, "s": 10, "t": 10}, 34, {"a": 10, "b": 10, "t": 10}),
        ({"a": 20, "b": 10, "s": 10, "t": 10}, 22, {"a": 10, "b": 10}),
    ],
    ids=[
        "there is room",
        "the widest gives",
        "both give",
        "the narrow keep",
        "no more to give",
        "a heading is never cut",
        "a spare column goes",
        "all spare columns go, then the widest gives",
    ],
)
def test_a_table_is_fitted_to_the_terminal(
    widths: dict[str, int], room: int, fitted: dict[str, int]
) -> None:
    assert fit(widths, room, spare=("s", "t") if "s" in widths else ()) == fitted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (20.0, "20"),
        (Colour.RED, "red"),
        (NINE, "2026-03-02 09:00:00Z"),
        ("a\tb\n c", "a b c"),
        ("\x1b[31m", "\ufffd[31m"),
    ],
    ids=repr,
)
def test_a_cell_is_one_safe_line(value: object, text: str) -> None:
    assert cell(value) == text


def test_json_holds_utc_times_values_and_fields() -> None:
    account = Account(
        name="a", base_url="https://x", token="env:T", max_in_flight=1, requests_per_second=0.5
    )
    berlin = NINE.astimezone(timezone(timedelta(hours=1)))

    assert json_value({"at": berlin, Colour.RED: [Colour.RED, (account,)]}) == {
        "at": "2026-03-02T09:00:00.000000Z",
        "red": [
            "red",
            [
                {
                    "name": "a",
                    "max_runs_per_day": None,
                    "max_inputs_per_day": None,
                    "min_interval": None,
                    "base_url": "https://x",
                    "token": "env:T",
                    "max_in_flight": 1,
                    "requests_per_second": 0.5,
                    "accept_unknown_collectors": False,
                    "price_per_thousand": None,
                    "invoice": False,
                    "balance_below": None,
                }
            ],
        ],
    }


def test_bidirectional_overrides_are_shown_as_such() -> None:
    assert one_line("a\u202eb") == "a\ufffdb"
