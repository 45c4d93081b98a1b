"""SaveStep: what a run brought is saved to a file once, whole and marked, or told why not."""

import gzip
import hashlib
import json
import os
import resource
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from scheduler.domain.records import RunState
from scheduler.domain.retention import Retention
from scheduler.engine.alerts import AlertStep
from scheduler.engine.result_file import ResultFile
from scheduler.engine.save import LEASE, SaveStep
from scheduler.sandbox import Fault, FaultKind, When
from scheduler.storage import results, tables
from scheduler.storage.results import Result
from scheduler.storage.retention import prune_others
from tests.engine.rig import REQUEST_TIMEOUT, Room, engine_room

INPUTS = [{"url": "https://example.org/1", "note": "a\nb"}, {"url": "https://example.org/ü"}]
ROWS = [{**item, "input": item} for item in INPUTS]
PATH = "{schedule}/{due_at:%Y-%m-%d}.jsonl"
SAVED = "night/2026-03-02.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made


def step_of(room: Room, folder: Path | None, owner: str = "d1", host: str = "here") -> SaveStep:
    return SaveStep(
        db=room.db,
        upstreams=room.upstreams,
        clock=room.clock,
        owner=owner,
        host=host,
        folder=lambda: folder,
        stalled_after=REQUEST_TIMEOUT,
        wake=lambda: None,
    )


async def ended(room: Room, save_to: str | None = PATH, **columns: Any) -> int:
    """Send a run of the schedule `night`, and follow it to its good end."""
    room.define(
        "schedules", "night", collector="shop", batch="one", manual=True, save_to=save_to, **columns
    )
    run_id = room.ask()
    room.execute("UPDATE runs SET schedule = 'night'")
    await room.dispatch()
    for _ in range(20):
        await room.follow(after=30)
        if room.run(run_id).ended_at is not None:
            break
    assert room.run(run_id).state is RunState.SUCCEEDED
    return run_id


async def save(room: Room, folder: Path | None, owner: str = "d1") -> Result | None:
    step = step_of(room, folder, owner)
    await step.run(room.clock())
    await step.settled()
    return result_of(room)


def result_of(room: Room) -> Result | None:
    with room.db.reading() as conn:
        found = results.list_page(conn, schedule=None, states=(), limit=1)
    return found[0] if found else None


def summary(result: Result | None) -> tuple[str, str | None] | None:
    return None if result is None else (result.state.value, result.reason)


def files(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


def downloads(room: Room) -> int:
    return sum(one.path == "/dca/dataset" for one in room.received)


FORMS: Mapping[str, str] = {
    "as it came": "x-{run_id}.json",
    "lines": "x-{run_id}.jsonl",
    "csv": "x-{run_id}.csv",
    "lines, gzip": "x-{run_id}.ndjson.gz",
    "csv, gzip": "x-{run_id}.csv.gz",
}


@pytest.mark.parametrize("form", FORMS)
async def test_what_came_is_saved_in_the_form_that_its_name_ends_in(
    sqlite_url: str, folder: Path, form: str
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room, FORMS[form])
        result = await save(room, folder)

    assert result is not None
    assert summary(result) == ("saved", None)
    place = folder / str(result.path)
    content = place.read_bytes()
    assert (result.row_count, result.byte_count) == (2, len(content))
    assert result.sha256 == hashlib.sha256(content).hexdigest()
    text = (gzip.decompress(content) if place.suffix == ".gz" else content).decode()
    match place.name.removesuffix(".gz").rpartition(".")[2]:
        case "json":
            assert json.loads(text) == ROWS
        case "csv":
            assert text.splitlines()[0] == "url,note,input"
            assert text.count("https://example.org/ü") == 2
        case _:
            assert [json.loads(line) for line in text.splitlines()] == ROWS
    told = json.loads(place.with_name(f"{place.name}.done").read_text())
    assert (told["sha256"], told["row_count"], told["run_id"]) == (result.sha256, 2, result.run_id)
    assert files(folder) == [place.name, f"{place.name}.done"]


async def test_it_is_saved_once_and_the_marker_comes_last(database_url: str, folder: Path) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room)
        first = await save(room, folder)
        again = await save(room, folder, "d2")

        assert summary(first) == summary(again) == ("saved", None)
        assert downloads(room) == 1
        assert files(folder) == [SAVED, f"{SAVED}.done"]
        assert room.complaints() == []


async def test_a_collector_says_it_for_its_schedules_and_for_runs_by_hand(
    sqlite_url: str, folder: Path
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        room.change("collectors", "shop", save_to="{collector}/{run_id}.jsonl")
        run_id = await ended(room, None)
        await save(room, folder)

    assert files(folder) == [f"shop/{run_id}.jsonl", f"shop/{run_id}.jsonl.done"]


@pytest.mark.parametrize("save_to", [None, PATH], ids=["no key", "no folder"])
async def test_nothing_is_saved_where_nobody_asks(
    sqlite_url: str, folder: Path, save_to: str | None
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room, save_to)
        result = await save(room, folder if save_to is None else None)

    assert summary(result) == (None if save_to is None else ("waiting", None))
    assert files(folder) == []


DATASET = "/dca/dataset"
HEALING = {
    "not ready": (Fault(kind=FaultKind.BUILDING_AS_200, path=DATASET), "saved"),
    "empty": (Fault(kind=FaultKind.EMPTY), "not_ready"),
    "a page": (Fault(kind=FaultKind.HTML, path=DATASET), "unreadable"),
    "broken": (Fault(kind=FaultKind.BROKEN_JSON, path=DATASET), "unreadable"),
    "cut off": (Fault(kind=FaultKind.HALF, path=DATASET), "cut_off"),
    "no answer": (Fault(kind=FaultKind.RESET, path=DATASET, when=When.BEFORE), "unanswered"),
    "a failure": (
        Fault(kind=FaultKind.ERROR, path=DATASET, status=503, when=When.BEFORE),
        "unanswered",
    ),
    "a gateway's 404": (Fault(kind=FaultKind.PAGE, path=DATASET, status=404), "unanswered"),
    "throttled": (Fault(kind=FaultKind.THROTTLE, path=DATASET), "unanswered"),
    "another limit": (
        Fault(kind=FaultKind.ERROR, path=DATASET, status=410, when=When.BEFORE),
        "expired",
    ),
}


@pytest.mark.parametrize("case", HEALING)
async def test_what_may_heal_is_tried_again_and_leaves_nothing_behind(
    sqlite_url: str, folder: Path, case: str
) -> None:
    fault, reason = HEALING[case]
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room)
        room.arm(fault)
        first = await save(room, folder)
        assert first is not None
        left = files(folder)
        if reason != "saved":
            assert summary(first) == ("waiting", reason)
            assert left == []
            assert first.next_attempt_at is not None
            assert first.next_attempt_at > room.clock()
            room.clock.now = first.next_attempt_at + timedelta(minutes=2)
        again = await save(room, folder)

    assert summary(again) == ("saved", None)
    assert files(folder) == [SAVED, f"{SAVED}.done"]


async def test_one_that_the_upstream_has_no_more_is_told_for_good(
    database_url: str, folder: Path
) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room)
        room.clock.tick(timedelta(days=17))
        result = await save(room, folder)
        later = await step_of(room, folder).run(room.clock() + timedelta(days=1))

    assert summary(result) == ("failed", "expired")
    assert later is None


async def test_a_file_of_somebody_else_is_never_overwritten(sqlite_url: str, folder: Path) -> None:
    place = folder / SAVED
    place.parent.mkdir()
    place.write_text("theirs")
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room)
        result = await save(room, folder)

    assert summary(result) == ("failed", "in_the_way")
    assert place.read_text() == "theirs"
    assert files(folder) == [SAVED]


async def test_a_retry_and_a_chunk_stand_beside_the_first(sqlite_url: str, folder: Path) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        room.execute("DELETE FROM results")
        room.execute("UPDATE runs SET chunks = 2")
        with room.db.writing() as conn:
            results.expect(conn, [run_id], now=room.clock())
        result = await save(room, folder)

    assert result is not None
    assert result.path == f"night/2026-03-02.run-{run_id}.jsonl"


@pytest.mark.parametrize("what", ["missing", "read only", "link"])
async def test_a_folder_that_cannot_be_used_is_told_and_tried_again(
    sqlite_url: str, folder: Path, what: str
) -> None:
    root = folder / "root"
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room)
        if what != "missing":
            root.mkdir()
        if what == "read only":
            if os.geteuid() == 0:
                (root / "night").write_text("no folder")
            else:
                root.chmod(0o500)
        if what == "link":
            (folder / "elsewhere").mkdir()
            (root / "night").symlink_to(folder / "elsewhere")
        result = await save(room, root)
        if what == "read only":
            root.chmod(0o700)

    expected = {
        "missing": ("waiting", "no_folder"),
        "read only": ("waiting", "not_writable"),
        "link": ("failed", "bad_path"),
    }
    assert summary(result) == expected[what]
    assert downloads(room) == 0
    assert files(folder / "elsewhere") == [] if what == "link" else True


async def test_a_full_disk_is_told_and_tried_again(sqlite_url: str, folder: Path) -> None:
    """No file of this process may be larger: as on a full disk, what is written is not taken."""
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room)
        room.arm(Fault(kind=FaultKind.HUGE, megabytes=30))
        usual = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 * 2**20, usual[1]))
        try:
            told = summary(await save(room, folder))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)

    assert told == ("waiting", "disk_full")
    assert files(folder) == []


class Killed(BaseException):
    """The process ends here."""


MOMENTS = ("prepare", "publish", "publish, done", "mark", "mark, done")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_killed_at_any_moment_it_is_saved_once(
    database_url: str, folder: Path, moment: str
) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room)
        name, _, is_done = moment.partition(", ")
        usual = getattr(ResultFile, name)

        def dying(file: ResultFile, *given: Any) -> None:
            if is_done:
                usual(file, *given)
            raise Killed

        step = step_of(room, folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ResultFile, name, dying)
            patch.setattr(ResultFile, "abandon", lambda _: None)  # a dead process tidies nothing
            patch.setattr(SaveStep, "_record", died)
            await step.run(room.clock())
            for task in list(step._saving.values()):
                with pytest.raises(Killed):
                    await task
        early = await save(room, folder, "d2")
        room.clock.tick(2 * LEASE)
        late = await save(room, folder, "d2")

        assert summary(early) == ("waiting", None)
        assert summary(late) == ("saved", None)
        assert files(folder) == [SAVED, f"{SAVED}.done"]
        found_there = moment in ("publish, done", "mark", "mark, done")
        assert downloads(room) == (1 if found_there or moment == "prepare" else 2)


async def died(*_: object) -> None:
    """Record nothing."""


async def test_one_that_lost_its_lease_gives_no_file_its_name(
    database_url: str, folder: Path
) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room)
        slow, quick = step_of(room, folder), step_of(room, folder, "d2")
        (work,) = await room.db.write(lambda conn: slow._claim(conn, room=1, now=room.clock()))
        room.clock.tick(2 * LEASE)
        await quick.run(room.clock())
        await quick.settled()
        place = folder / SAVED
        before = place.stat().st_ino
        place.unlink()
        await slow._save(folder, work)

    assert not place.exists()
    assert before
    assert files(folder) == [f"{SAVED}.done"]


async def test_after_its_time_a_file_is_removed_and_no_other(
    database_url: str, folder: Path
) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room, keep_saved="90d")
        await save(room, folder)
        (folder / "night/other.jsonl").write_text("theirs")
        room.clock.tick(timedelta(days=89))
        early = await save(room, folder)
        room.clock.tick(timedelta(days=2))
        late = await save(room, folder)

    assert summary(early) == ("saved", None)
    assert summary(late) == ("removed", None)
    assert files(folder) == ["night/other.jsonl"]


async def test_a_file_that_was_changed_is_not_removed(sqlite_url: str, folder: Path) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room, keep_saved="1d")
        await save(room, folder)
        (folder / SAVED).write_text("edited")
        room.clock.tick(timedelta(days=2))
        result = await save(room, folder)

    assert result is not None
    assert (summary(result), result.remove_at) == (("saved", None), None)
    assert (folder / SAVED).read_text() == "edited"


HOSTILE: Sequence[tuple[str, str]] = (
    ("../../etc", "_._.._etc"),
    ("a/b", "a_b"),
    ("..", "_."),
    ("ok name", "ok_name"),
)


@pytest.mark.parametrize(("name", "part"), HOSTILE)
async def test_a_value_is_one_part_of_the_path(
    sqlite_url: str, folder: Path, name: str, part: str
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        run_id = await ended(room)
        room.execute("DELETE FROM results")
        room.execute("UPDATE schedules SET name = :name", name=name)
        room.execute("UPDATE runs SET schedule = :name", name=name)
        with room.db.writing() as conn:
            results.expect(conn, [run_id], now=room.clock())
        root = folder / "root"
        root.mkdir()
        await save(room, root)

    assert files(folder) == [
        f"root/{part}/2026-03-02.jsonl",
        f"root/{part}/2026-03-02.jsonl.done",
    ]


@pytest.mark.parametrize("is_there", [True, False], ids=["saved", "given up"])
async def test_on_end_hears_of_a_run_once_its_result_is_there_or_given_up(
    database_url: str, folder: Path, is_there: bool
) -> None:
    if not is_there:
        (folder / SAVED).parent.mkdir()
        (folder / SAVED).write_text("theirs")
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room, on_end="load")
        alerts = AlertStep(db=room.db, rules=list, wake_delivery=lambda: None, now=room.clock)
        await alerts.run(room.clock())
        early = hooks(room)
        await save(room, folder)
        await alerts.run(room.clock() + timedelta(minutes=1))
        (told,) = hooks(room)

    assert early == []
    result = told["run"]["result"]
    assert (result["state"], result["path"]) == ("saved" if is_there else "failed", SAVED)


def hooks(room: Room) -> list[dict[str, Any]]:
    with room.db.reading() as conn:
        found = conn.scalars(select(tables.notices.c.event))
        return [json.loads(event) for event in found]


async def test_rows_of_results_go_after_their_time_but_not_before_their_file(
    database_url: str, folder: Path
) -> None:
    async with engine_room(database_url, inputs=INPUTS) as room:
        await ended(room, keep_saved="200d")
        await save(room, folder)
        rules = Retention(results=timedelta(days=90))
        room.clock.tick(timedelta(days=100))
        with room.db.writing() as conn:
            early = prune_others(conn, rules, now=room.clock(), limit=9)["results"]
        room.clock.tick(timedelta(days=101))
        await save(room, folder)
        with room.db.writing() as conn:
            late = prune_others(conn, rules, now=room.clock(), limit=9)["results"]

    assert (early, late) == (0, 1)
    assert files(folder) == []


async def test_nothing_is_asked_for_while_the_brake_is_closed(
    sqlite_url: str, folder: Path
) -> None:
    async with engine_room(sqlite_url, inputs=INPUTS) as room:
        await ended(room)
        room.execute("UPDATE brakes SET open_until = '2026-03-02 23:00:00'")
        held = await save(room, folder)
        asked = downloads(room)

    assert (summary(held), asked) == (("waiting", None), 0)
