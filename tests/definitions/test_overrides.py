"""Temporary overrides: what is fired while they hold, and that they end."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from scheduler.actions.overrides import override_field, restore_fields
from scheduler.domain.errors import Conflict, InvalidInput, NotFound
from scheduler.engine.bodies import BatchReader
from scheduler.engine.fire import FireStep
from scheduler.engine.on_time import OnTime
from scheduler.storage import audit, overrides
from scheduler.views.schedules import list_overrides
from tests.definitions.rig import FILE, Desk
from tests.engine.rig import alone
from tests.engine.rows import ManualClock
from tests.make import NINE, make_fallbacks, minutes

TEN = NINE + minutes(60)
ELEVEN = NINE + minutes(120)
END = TEN + minutes(1)
OTHER = "\n[batches.other]\ninputs = [{ url = 'https://example.com/1' }, { url = 'b' }]\n"


def override(desk: Desk, field: str, value: str | None, *, until: datetime = END) -> None:
    with desk.db.writing() as conn:
        override_field(
            conn, "hourly", field, value, until=until, by="bob", reason="trial", now=NINE
        )


async def fired(desk: Desk, *times: datetime) -> list[dict[str, Any]]:
    """Fire at each of *times*; return the runs, in order."""
    clock = ManualClock()
    step = FireStep(
        db=desk.db,
        reader=BatchReader(),
        defaults=make_fallbacks,
        carry_out=alone(desk.db),
        on_time=OnTime(clock),
        is_free=lambda: False,
    )
    for clock.now in (NINE, *times):
        await step.run(clock.now)
    columns = ("batch", "priority", "query", "max_attempts", "state")
    return [
        dict(zip(columns, row, strict=True))
        for row in desk.sql(f"SELECT {', '.join(columns)} FROM runs ORDER BY due_at")
    ]


async def test_an_override_holds_until_its_end(desk: Desk) -> None:
    desk.apply(FILE + OTHER)
    for field, value in (("batch", "other"), ("priority", "7"), ("max_attempts", "1")):
        override(desk, field, value)
    override(desk, "deadline", "5m")

    first, second = await fired(desk, TEN, ELEVEN)

    assert (first["batch"], first["priority"], first["max_attempts"]) == ("other", 7, 1)
    assert "deadline=5m" in first["query"]
    assert (second["batch"], second["priority"]) == ("pages", 0)
    assert "deadline=2h" in second["query"]


async def test_a_batch_that_went_away_sets_the_schedule_aside(desk: Desk) -> None:
    desk.apply(FILE + OTHER)
    override(desk, "batch", "other")
    desk.sql("DELETE FROM batches WHERE name = 'other'")

    assert await fired(desk, TEN) == []
    [(error,)] = desk.sql("SELECT error FROM schedules WHERE name = 'hourly'")
    assert error == "batch: no batch is called 'other': name one that there is, or create it"


async def test_applying_leaves_overrides_alone(desk: Desk) -> None:
    desk.apply()
    override(desk, "priority", "7")
    desk.apply(FILE.replace('every = "1h"', 'every = "1h"\npriority = 3'))

    [run] = await fired(desk, TEN)

    assert run["priority"] == 7


async def test_a_restored_field_is_the_schedules_own(desk: Desk) -> None:
    desk.apply()
    override(desk, "priority", "7")
    override(desk, "overlap", "skip")
    with desk.db.writing() as conn:
        restored = restore_fields(conn, "hourly", "priority", by="ann", now=NINE)

    [run] = await fired(desk, TEN)

    assert ([override.field for override in restored], run["priority"]) == (["priority"], 0)
    with desk.db.reading() as conn:
        assert [one.field for one in list_overrides(conn, now=NINE)] == ["overlap"]


def test_the_last_word_on_a_field_holds(desk: Desk) -> None:
    desk.apply()
    override(desk, "priority", "7")
    override(desk, "priority", "8")

    with desk.db.reading() as conn:
        [found] = list_overrides(conn, "hourly", now=NINE)
    assert (found.value, found.made_by, found.reason) == ("8", "bob", "trial")


def test_overrides_are_in_the_audit(desk: Desk) -> None:
    desk.apply()
    override(desk, "priority", "7")
    with desk.db.writing() as conn:
        restore_fields(conn, "hourly", by="ann", now=NINE)

    with desk.db.reading() as conn:
        restored, made = audit.list_changes(conn, subject="schedules.hourly", limit=2)
    assert (made.by, made.action, made.columns()["priority"]) == ("bob", "override", [None, "7"])
    assert (restored.by, restored.action, restored.columns()) == (
        "ann",
        "restore",
        {"priority": ["7", None]},
    )


@pytest.mark.parametrize(
    ("field", "value", "until", "error"),
    [
        ("cron", "* * * * *", TEN, InvalidInput),
        ("priority", "high", TEN, InvalidInput),
        ("priority", "7", NINE, InvalidInput),
        ("batch", "nowhere", TEN, NotFound),
    ],
)
def test_what_cannot_be_is_refused(
    desk: Desk, field: str, value: str, until: datetime, error: type[Exception]
) -> None:
    desk.apply()

    with pytest.raises(error):
        override(desk, field, value, until=until)

    assert desk.sql("SELECT * FROM overrides") == []


def test_there_is_nothing_to_restore_after_the_end(desk: Desk) -> None:
    desk.apply()
    override(desk, "priority", "7")

    with pytest.raises(Conflict), desk.db.writing() as conn:
        restore_fields(conn, "hourly", by="ann", now=ELEVEN)


def test_lapsed_overrides_are_forgotten_and_others_kept(desk: Desk) -> None:
    desk.apply()
    override(desk, "priority", "7", until=TEN)
    override(desk, "deadline", "5m", until=ELEVEN)

    with desk.db.writing() as conn:
        overrides.delete_lapsed(conn, before=TEN + timedelta(seconds=1))

    assert desk.sql("SELECT field FROM overrides") == [("deadline",)]
