"""Temporary overrides: which fields, which values, and what a wrong one does."""

from typing import Any

import pytest

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import CatchUp, Overlap
from scheduler.domain.schedule_override import Override, overridden, read_field
from tests.make import NINE, make_schedule, minutes


def make_override(field: str, value: str | None) -> Override:
    return Override(
        schedule="hourly",
        field=field,
        value=value,
        made_at=NINE,
        made_by="ann",
        reason="why",
        until=NINE + minutes(60),
    )


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("batch", "other", "other"),
        ("deadline", "30m", "30m"),
        ("deadline", None, None),
        ("priority", "-3", -3),
        ("misfire_grace", "2h", "2h"),
        ("catch_up", "all", CatchUp.ALL),
        ("overlap", "skip", Overlap.SKIP),
        ("max_attempts", "1", 1),
        ("no_downloads", "true", True),
        ("no_downloads", None, None),
        ("version", "dev", "dev"),
        ("name", "{schedule} by hand", "{schedule} by hand"),
    ],
)
def test_a_value_is_read_as_its_field_wants(field: str, text: str | None, value: Any) -> None:
    assert read_field(field, text) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("cron", "* * * * *"),
        ("enabled", "true"),
        ("batch", None),
        ("deadline", "soon"),
        ("priority", "high"),
        ("priority", None),
        ("catch_up", "some"),
        ("overlap", "wait"),
        ("max_attempts", "0"),
        ("no_downloads", "maybe"),
        ("version", "live"),
        ("name", "{secret}"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(field: str, text: str | None) -> None:
    with pytest.raises(InvalidInput, match=field):
        read_field(field, text)


def test_overrides_lie_above_the_schedules_own_fields() -> None:
    schedule = make_schedule(deadline="2h", trigger_name="a")

    found = overridden(
        schedule, [make_override("deadline", None), make_override("name", "{schedule}")]
    )

    assert found == make_schedule(deadline=None, trigger_name="{schedule}")


def test_an_override_that_cannot_be_read_changes_nothing() -> None:
    wrong = [make_override("priority", "high"), make_override("next_fire_at", "now")]

    assert overridden(make_schedule(), [*wrong, make_override("priority", "7")]) == (
        make_schedule(priority=7)
    )
