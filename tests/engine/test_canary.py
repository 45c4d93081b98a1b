"""The first inputs of a batch go alone; the others once these have ended well."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from scheduler.actions.runs import abandon_run, cancel_run, retry_runs
from scheduler.actions.schedules import fire_schedule
from scheduler.domain.errors import InvalidInput
from scheduler.domain.notices import AlertKind, EndedRun, opened_by
from scheduler.domain.records import Reason, Run, RunState
from scheduler.inputs import iter_bodies
from scheduler.sandbox import Fault, FaultKind, When
from scheduler.tools.calendar.backfill import Ask, prepare_backfill, write_backfill
from scheduler.tools.calendar.explain import explain_time
from scheduler.tools.calendar.preview import preview_schedules
from scheduler.views.run_page import read_run_page
from scheduler.views.waiting import why_waits
from tests.engine.rig import NINE, Room, another_database, engine_room
from tests.engine.rows import CONFIG
from tests.make import make_batch

HOUR = timedelta(hours=1)
QUEUED, COLLECTING = RunState.QUEUED, RunState.COLLECTING
SUCCEEDED, SKIPPED, FAILED = RunState.SUCCEEDED, RunState.SKIPPED, RunState.FAILED
DEAD = {"url": "https://x.org/dead", "sandbox_error": "dead_page"}
BROKEN = {"url": "https://x.org/broken", "sandbox_status": "failed"}


def urls(*first: dict[str, str], count: int = 5) -> str:
    return json.dumps([*first, *({"url": f"https://x.org/{n}"} for n in range(count))])


async def fired(
    room: Room, *first: dict[str, str], batch: dict[str, Any] | None = None, **schedule: Any
) -> list[Run]:
    """Fire a schedule of a batch that begins with *first* at ten, and send what may be sent."""
    rules: dict[str, Any] = {"inputs": urls(*first), "canary": "2"} | (batch or {})
    room.define("batches", "many", **rules)
    room.schedule("night", batch="many", **{"cron": "0 10 * * *"} | schedule)
    await room.fire()
    room.clock.now = NINE + HOUR
    await room.fire()
    await room.dispatch()
    return room.runs()


async def end(room: Room) -> list[Run]:
    """Follow what collects until it has ended, and send what may be sent then."""
    for _ in range(40):
        await room.follow(after=30)
        if not any(run.state is COLLECTING for run in room.runs()):
            break
    await room.dispatch()
    return room.runs()


def sent(room: Room) -> list[int | None]:
    return [one.inputs for one in room.triggers]


def states(runs: Sequence[Run]) -> list[RunState]:
    return [run.state for run in runs]


async def test_the_others_go_once_the_first_have_ended_well(database_url: str) -> None:
    async with engine_room(database_url) as room:
        canary, *others = await fired(room, batch={"max_inputs_per_trigger": 2})
        before = sent(room)
        with room.db.reading() as conn:
            why = why_waits(conn, others[0], now=room.clock())
            page = read_run_page(conn, others[0].id, now=room.clock())
        later = await end(room)
        after = sent(room)
        said = room.complaints()

    assert before == [2]
    assert states([canary, *others]) == [COLLECTING, QUEUED, QUEUED]
    assert [(run.after_canary, run.waits_for) for run in others] == [(True, canary.id)] * 2
    assert why == f"the end of its canary, run {canary.id}, which is collecting"
    assert page.run.after_canary
    assert states(later)[0] is SUCCEEDED
    assert after == [2, 2, 1]
    assert {run.send_before for run in later[1:]} == {later[0].ended_at + HOUR}  # type: ignore[operator]
    assert said == []


@pytest.mark.parametrize(
    ("first", "schedule", "goes"),
    [
        pytest.param(BROKEN, {}, False, id="failed"),
        pytest.param(DEAD, {}, False, id="partial"),
        pytest.param(DEAD, {"min_success_rate": 0.5}, True, id="partial, above its floor"),
        pytest.param(DEAD, {"min_success_rate": 0.9}, False, id="below its floor"),
        pytest.param({"url": "x"}, {"min_rows": 100}, False, id="too few rows"),
    ],
)
async def test_the_schedules_floor_says_what_well_is(
    database_url: str, first: dict[str, str], schedule: dict[str, Any], goes: bool
) -> None:
    async with engine_room(database_url) as room:
        await fired(room, first, **schedule)
        canary, other = await end(room)
        with room.db.reading() as conn:
            told = explain_time(conn, "night", NINE + HOUR, now=room.clock())

    if goes:
        assert (canary.state, other.state) == (RunState.PARTIAL, COLLECTING)
        return
    assert (other.state, other.reason) == (SKIPPED, Reason.CANARY_FAILED)
    assert str(other.detail).startswith(f"its canary, run {canary.id}, ended {canary.state}: ")
    assert sent(room) == [2]
    assert f"run {canary.id}" in str(told)


def test_a_failed_canary_is_told() -> None:
    run = EndedRun(
        run_id=2, happened_at=NINE, to_state=SKIPPED, reason=Reason.CANARY_FAILED, detail="run 1",
        schedule="night", collector="shop", labels=None, on_end=None,
    )  # fmt: skip
    alert = opened_by(run)
    assert alert is not None
    assert alert.kind is AlertKind.FAILING


async def test_one_that_is_looked_for_holds_the_others_beyond_their_grace(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.define("batches", "many", inputs=urls(), canary="2")
        room.arm(Fault(kind=FaultKind.RESET, when=When.AFTER))
        lost = await fired_again(room)
        room.clock.tick(3 * HOUR)
        await room.dispatch()
        held = room.runs()
        await room.lookup()
        canary, other = await end(room)
        said = room.complaints()

    assert states(lost) == [RunState.UNCONFIRMED, QUEUED]
    assert states(held) == [RunState.UNCONFIRMED, QUEUED]
    assert (canary.state, other.state) == (SUCCEEDED, COLLECTING)
    assert said == []


async def fired_again(room: Room, **schedule: Any) -> list[Run]:
    room.schedule("night", batch="many", cron="0 10 * * *", **schedule)
    await room.fire()
    room.clock.now = NINE + HOUR
    await room.fire()
    await room.dispatch()
    return room.runs()


async def test_one_that_a_person_gives_up_ends_the_others(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("batches", "many", inputs=urls(), canary="2")
        room.arm(Fault(kind=FaultKind.RESET, when=When.BEFORE))
        await fired_again(room, on_unconfirmed="hold")
        await room.lookup_to_the_end()
        await room.dispatch()
        held = room.runs()
        with room.db.writing() as conn:
            abandon_run(conn, held[0].id, by="ann", now=room.clock())
        await room.dispatch()
        after = room.runs()

    assert states(held) == [RunState.NEEDS_ATTENTION, QUEUED]
    assert [(run.state, run.reason) for run in after] == [
        (FAILED, Reason.ABANDONED),
        (SKIPPED, Reason.CANARY_FAILED),
    ]


async def test_one_that_was_never_sent_ends_the_others_for_its_own_reason(
    database_url: str,
) -> None:
    async with engine_room(database_url) as room:
        room.define("batches", "many", inputs=urls(), canary="2")
        room.schedule("night", batch="many", cron="0 10 * * *")
        await room.fire()
        room.clock.now = NINE + HOUR
        await room.fire()
        room.clock.tick(2 * HOUR)
        await room.dispatch()
        canary, other = room.runs()

    assert (canary.state, canary.reason) == (SKIPPED, Reason.MISSED)
    assert (other.state, other.reason) == (SKIPPED, Reason.MISSED)
    assert sent(room) == []


async def test_what_is_cancelled_or_overdue_has_not_ended_well(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("batches", "many", inputs=urls(), canary="2")
        room.schedule("night", batch="many", cron="0 10 * * *")
        await room.fire()
        room.clock.now = NINE + HOUR
        await room.fire()
        with room.db.writing() as conn:
            cancel_run(conn, room.runs()[0].id, by="ann", now=room.clock())
        await room.dispatch()
        cancelled = room.runs()[1]
        room.clock.tick(1)
        later = room.run(fire(room)[1])
        await room.dispatch()
        room.execute(
            "UPDATE runs SET overdue_at = :now WHERE id = :id", now=NINE, id=later.waits_for
        )
        await room.dispatch()
        overdue = room.run(later.id)

    assert (cancelled.state, cancelled.reason) == (SKIPPED, Reason.CANARY_FAILED)
    assert overdue.detail == f"its canary, run {later.waits_for}, has not ended by its deadline"


def fire(room: Room) -> list[int]:
    made = fire_schedule(room.db, "night", config=CONFIG, by="ann", now=room.clock())
    return [run.id for run in made]


async def test_what_a_person_fires_or_backfills_has_a_canary_too(database_url: str) -> None:
    async with engine_room(database_url) as room:
        room.define("batches", "many", inputs=urls(), canary="2")
        room.schedule("night", batch="many", cron="0 3 * * *", overlap="allow")
        await room.fire()
        by_hand = fire(room)
        ask = Ask(schedule="night", start=NINE - 60 * HOUR, end=NINE, max_concurrent=1)
        with room.db.writing() as conn:
            prepared = prepare_backfill(conn, ask, now=room.clock())
            how: dict[str, Any] = {"config": CONFIG, "by": "ann", "now": room.clock()}
            filled = write_backfill(conn, prepared, **how)
        waits = {run.id: run.waits_for for run in room.runs()}
        for _ in range(8):
            await room.dispatch()
            await end(room)
        ended = room.runs()
        said = room.complaints()

    assert waits[by_hand[1]] == by_hand[0]
    assert [waits[run_id] for run_id in filled] == [
        *(None, filled[0]),
        *(filled[1], filled[2]),
        *(filled[3], filled[4]),
    ]
    assert set(states(ended)) == {SUCCEEDED}
    assert {run.send_before for run in ended} == {None}
    assert said == []


async def test_a_retry_by_hand_is_a_persons_word(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await fired(room, BROKEN)
        canary, other = await end(room)
        with room.db.writing() as conn:
            again = retry_runs(
                conn, [canary.id, other.id], by="ann", now=room.clock(), confirmed=True
            )
        await room.dispatch()
        await room.dispatch()
        retried = [room.run(run.id) for run in again]

    assert [(run.after_canary, run.waits_for) for run in retried] == [(False, None)] * 2
    assert states(retried) == [COLLECTING, COLLECTING]


async def test_what_was_edited_meanwhile_changes_nothing_of_it(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await fired(room)
        room.change("batches", "many", inputs=urls(count=50), canary="9%")
        room.change("schedules", "night", enabled=False, misfire_grace="soon")
        await room.fire()
        await end(room)
        said = room.complaints()

    assert sent(room) == [2, 3]
    assert said == []


async def test_a_later_occurrence_waits_or_takes_its_place(database_url: str) -> None:
    async with engine_room(database_url) as room:
        first = await fired(room, cron="0 * * * *", overlap="replace")
        room.clock.now = NINE + 2 * HOUR
        await room.fire()
        await room.dispatch()
        replaced = room.runs()
        await end(room)
        await end(room)
        done = room.runs()
        said = room.complaints()

    canary, other, next_canary, next_other = replaced
    assert (other.state, other.reason) == (SKIPPED, Reason.SUPERSEDED)
    assert (next_canary.waits_for, next_canary.replaces) == (first[0].id, True)
    assert (next_other.waits_for, next_other.replaces) == (next_canary.id, False)
    assert done[0].id == canary.id
    assert states(done[2:]) == [SUCCEEDED, COLLECTING]
    assert said == []


async def test_within_max_running_and_with_another_daemon(postgresql_url: str) -> None:
    async with engine_room(postgresql_url) as room:
        room.change("collectors", "shop", max_running=1)
        await fired(room, batch={"max_inputs_per_trigger": 2})
        with another_database(postgresql_url) as db:
            other = room.dispatch_step(db=db, owner="d2")
            await room.dispatch(other)
            alone = sent(room)
            for _ in range(4):
                await end(room)
                await room.dispatch(other)
        said = room.complaints()

    assert alone == [2]
    assert sent(room) == [2, 2, 1]
    assert said == []


@pytest.mark.parametrize(
    ("canary", "count", "found"),
    [
        ("2", 5, [2, 3]),
        ("5", 5, [5]),
        ("50", 5, [5]),
        ("20%", 5, [1, 4]),
        ("2%", 150, [3, 147]),
        ("1%", 5, [1, 4]),
        ("99%", 1, [1]),
    ],
)
def test_so_many_inputs_go_first(canary: str, count: int, found: list[int]) -> None:
    batch = make_batch(inputs=urls(count=count), canary=canary)
    assert [body.row_count for body in iter_bodies(batch, None)] == found


@pytest.mark.parametrize("canary", ["0", "-1", "0%", "100%", "many", "", "2.5%", "٢"])
def test_what_is_neither_a_number_nor_a_share_is_refused(canary: str) -> None:
    with pytest.raises(InvalidInput, match="a number of inputs, such as 50, or a share"):
        list(iter_bodies(make_batch(canary=canary), None))


async def test_it_is_told_beforehand(database_url: str) -> None:
    async with engine_room(database_url) as room:
        await fired(room, cron="0 * * * *")
        with room.db.reading() as conn:
            preview = preview_schedules(conn, ["night"], days=1, now=room.clock())
            to_come = explain_time(conn, "night", NINE + 3 * HOUR, now=room.clock())
        room.change("batches", "many", canary="some")
        await room.fire()
        error = room.stored_schedule("night").error

    words = "canary = 2: so many inputs first, the others once these have ended well"
    assert words in str(preview.schedules[0].note)
    assert words in str(to_come)
    assert error == (
        "batch 'many': canary must be a number of inputs, such as 50, or a share, such as 2%"
    )
