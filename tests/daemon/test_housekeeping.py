"""The heartbeat: one that fails is not the last, and a stop lets the one under way finish."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from scheduler.daemon import housekeeping
from scheduler.daemon.config_state import ConfigState
from scheduler.daemon.housekeeping import Housekeeping
from scheduler.daemon.steady_clock import SteadyClock
from scheduler.daemon.systemd import Notifier
from scheduler.domain.tally import Tally
from scheduler.storage.database import Database


async def nobody() -> None:
    return None


@pytest.fixture
def chores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Housekeeping:
    """Housekeeping that beats as often as it can."""
    monkeypatch.setattr(housekeeping, "_HEARTBEAT_SECONDS", 0.001)
    clock = SteadyClock(0.0)
    return Housekeeping(
        db=Database(f"sqlite:///{tmp_path}/unused.db"),
        clock=clock,
        owner="d1",
        loops=(),
        notifier=Notifier(None),
        witness=nobody,
        config=ConfigState(clock()),
        tally=Tally(),
        http_error=lambda: None,
        why_unusable=lambda _: None,
    )


async def test_a_stop_lets_the_beat_under_way_finish_and_leaves_no_trace(
    chores: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_end, stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
    finished = []

    async def beat(_: Housekeeping) -> None:
        began.set()
        await may_end.wait()
        finished.append("beat")

    monkeypatch.setattr(Housekeeping, "heartbeat", beat)
    with capture_logs() as logged:
        running = asyncio.create_task(chores.run(stopping))
        await began.wait()
        stopping.set()
        may_end.set()
        await running

    assert finished == ["beat"]
    assert logged == []


async def test_after_a_beat_that_failed_comes_another(
    chores: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping, beats = asyncio.Event(), list[int]()

    async def beat(_: Housekeeping) -> None:
        beats.append(len(beats))
        if len(beats) == 1:
            raise ValueError("nobody expected that")
        stopping.set()

    monkeypatch.setattr(Housekeeping, "heartbeat", beat)
    with capture_logs() as logged:
        await chores.run(stopping)

    assert beats == [0, 1]
    assert [(line["event"], line["loop"]) for line in logged] == [("step_failed", "heartbeat")]
