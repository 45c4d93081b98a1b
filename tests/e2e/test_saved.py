"""Results are saved once each, whoever is killed in the middle, in memory that does not grow."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from scheduler.sandbox import Fault, FaultKind
from tests.e2e.rig import Daemon, House, house, serving, wait_for

SAVED = """
[results]
folder = "{folder}"

[schedules.saved]
collector = "a"
batch = "x"
manual = true
save_to = "{{schedule}}/{{run_id}}.jsonl"
"""
DATASET = "/dca/dataset"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "results"
    made.mkdir()
    return made


def rows(built: House) -> list[dict[str, Any]]:
    with built.reading() as conn:
        found = conn.execute(text("SELECT * FROM results ORDER BY run_id")).mappings()
        return [dict(row) for row in found]


def is_saved(built: House) -> bool:
    return [row["state"] for row in rows(built)] == ["saved"]


def part_of(folder: Path) -> int:
    """Return how large the file is that is written beside, or 0."""
    return max((one.stat().st_size for one in folder.rglob(".*.part")), default=0)


def peak_memory(daemon: Daemon) -> int:
    """Return the most memory that the process had, in MiB."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def files(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


def check(built: House, folder: Path) -> None:
    """One file, whole, marked, as its row says; and nothing beside."""
    (row,) = rows(built)
    place = folder / row["path"]
    assert files(folder) == [row["path"], f"{row['path']}.done"]
    with place.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == row["sha256"]
    told = json.loads(place.with_name(f"{place.name}.done").read_text())
    assert (told["sha256"], told["run_id"]) == (row["sha256"], row["run_id"])
    assert place.stat().st_size == row["byte_count"]


def test_killed_in_the_middle_of_a_download_it_begins_anew_beside_and_saves_once(
    folder: Path, database_url: str, tmp_path: Path
) -> None:
    with serving() as (sandbox, base_url):
        sandbox.arm(
            Fault(kind=FaultKind.HUGE, megabytes=300), Fault(kind=FaultKind.HUGE, megabytes=3)
        )
        settings = SAVED.format(folder=folder)
        with house(tmp_path, database_url, base_url, schedules=0, more=settings) as built:
            first = built.start(wait=True)
            assert built.call("schedules", "fire", "saved").returncode == 0
            wait_for(lambda: part_of(folder) > 4 * 2**20, within=60, what="a part", also=built.tell)
            first.kill()
            left = files(folder)
            with built.reading() as conn:
                assert conn.scalar(text("SELECT state FROM results")) == "waiting"
            second = built.start(wait=True)
            wait_for(lambda: is_saved(built), within=150, what="saved", also=built.tell)
            assert second.stop() == 0
            check(built, folder)
            jobs = list(sandbox.account.book.jobs)
        downloads = sum(one.path == DATASET for one in sandbox.account.journal)

    assert [name.endswith(".part") for name in left] == [True]
    assert (len(jobs), downloads) == (1, 2)


def test_a_large_one_takes_no_memory_and_two_daemons_save_it_once(
    folder: Path, database_url: str, tmp_path: Path
) -> None:
    with serving() as (sandbox, base_url):
        sandbox.arm(Fault(kind=FaultKind.HUGE, megabytes=200))
        settings = SAVED.format(folder=folder)
        with house(tmp_path, database_url, base_url, schedules=0, more=settings) as built:
            daemons = [built.start(wait=True)]
            if not database_url.startswith("sqlite"):
                daemons.append(built.start(wait=True))
            before = [peak_memory(one) for one in daemons]
            assert built.call("schedules", "fire", "saved").returncode == 0
            wait_for(lambda: is_saved(built), within=120, what="saved", also=built.tell)
            after = [peak_memory(one) for one in daemons]
            for one in daemons:
                assert one.stop() == 0
            check(built, folder)
        downloads = sum(one.path == DATASET for one in sandbox.account.journal)

    assert downloads == 1
    assert all(late - early < 60 for early, late in zip(before, after, strict=True)), (
        before,
        after,
    )
