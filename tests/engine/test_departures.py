"""After a crash, a claim whose request never left is known as such, and is sent at once."""

import asyncio
from pathlib import Path

import pytest

from scheduler.domain.brake import CEILING
from scheduler.domain.records import Reason, RunState
from scheduler.sandbox import Fault, FaultKind
from scheduler.storage import departures
from scheduler.storage.departures import Departures, forget_departed, read_departed
from tests.engine.rig import engine_room
from tests.engine.test_claims_ahead import claim_ahead, in_state, waiting


class Counted(Departures):
    """Departures that tell when as many as may be on the wire twice over have left."""

    def note(self, claim: tuple[int, int]) -> None:
        super().note(claim)
        if len(self._open) + len(self._answered) == 2 * CEILING:
            self.have_left.set()

    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(path, owner)
        self.have_left = asyncio.Event()


async def test_claims_that_never_left_are_sent_at_once_by_the_next_daemon(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "claims.db"
    async with engine_room(database_url) as room:
        noted = Counted.beside(file, "d1")
        step = room.dispatch_step(departures=noted)
        slow = Fault(kind=FaultKind.SLOW, seconds=30, times=None)
        await claim_ahead(room, slow, step=step)
        ahead, on_the_wire = waiting(step), len(step._flight.sending)
        async with asyncio.timeout(60):
            await noted.have_left.wait()
        await room.reconcile_step(owner="d2").take_over(room.clock(), read_departed(file))
        lost, queued = in_state(room, RunState.UNCONFIRMED), in_state(room, RunState.QUEUED)

    assert (ahead, on_the_wire) == (2 * CEILING, CEILING)
    assert [run.reason for run in lost] == [Reason.DAEMON_DIED] * on_the_wire
    given_back = [run for run in queued if run.fence > 0]
    assert len(given_back) == ahead
    assert {(run.detail, run.attempt_count) for run in given_back} == {
        ("its daemon died before it could leave", 0)
    }


def test_what_was_noted_is_read_by_the_next_daemon(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    noted = Departures.beside(file, "d1")
    noted.note((1, 1))
    noted.note((2, 3))
    noted.settle([(1, 1)])
    departed = read_departed(file)

    assert departed is not None
    assert (departed.owner, departed.claims) == ("d1", frozenset({(1, 1), (2, 3)}))
    Departures.beside(file, "d2")
    assert (anew := read_departed(file)) is not None
    assert (anew.owner, anew.claims) == ("d2", frozenset())
    forget_departed(file)
    assert read_departed(file) is None


def test_a_file_of_another_boot_or_that_is_damaged_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.db"
    beside = tmp_path / "a.db.departed"
    Departures.beside(file, "d1").note((1, 1))
    text = beside.read_text()

    assert read_departed(file) is not None
    beside.write_text("another-boot d1\n1 1\n")
    assert read_departed(file) is None
    beside.write_text(text + "2\n")
    assert read_departed(file) is None
    beside.write_text("")
    assert read_departed(file) is None


def test_what_is_not_answered_is_never_dropped_however_much_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    noted = Departures.beside(file, "d1")
    noted.note((1, 1))
    for run_id in range(2, 50_000):
        noted.note((run_id, 1))
        noted.settle([(run_id, 1)])
    departed = read_departed(file)

    assert departed is not None
    assert (1, 1) in departed.claims
    assert departed.claims >= {(run_id, 1) for run_id in range(40_000, 50_000)}
    assert len(departed.claims) < 2 * departures._KEPT + 10


def test_a_note_that_cannot_be_written_makes_the_file_prove_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.db"
    noted = Departures.beside(file, "d1")
    noted.note((1, 1))
    monkeypatch.setattr("os.write", lambda file, data: 0)
    noted.note((2, 1))
    monkeypatch.undo()
    noted.note((3, 1))

    assert read_departed(file) is None
