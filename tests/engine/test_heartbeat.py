"""The daemon tells that it is well as long as it is: silence is the alarm."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from scheduler.config.notice_settings import HeartbeatSettings
from scheduler.engine.heartbeat import HeartbeatStep
from scheduler.storage import daemons
from scheduler.storage.database import Database
from tests.engine.rows import ManualClock, Rows
from tests.storage.rows import insert_world


@dataclass
class Listener:
    """Counts the calls."""

    calls: list[object] = field(default_factory=list)

    async def beat(self, url: object, **_: Any) -> str | None:
        self.calls.append(url)
        return None


@dataclass(kw_only=True)
class Beating(Rows):
    """A daemon `d1` that was seen now, and who listens."""

    listener: Listener = field(default_factory=Listener)
    step: HeartbeatStep = field(init=False)

    def __post_init__(self) -> None:
        settings = HeartbeatSettings(url="https://hc.example/s3cr3t", every=timedelta(minutes=1))
        self.step = HeartbeatStep(
            db=self.db,
            owner="d1",
            settings=lambda: settings,
            senders=self.listener,  # type: ignore[arg-type]  # it calls nobody
        )

    async def beat(self) -> int:
        """Make one pass, a minute later; return how many calls there were so far."""
        self.clock.tick(60)
        await self.step.run(self.clock())
        for call in tuple(self.step._calls):
            await call
        return len(self.listener.calls)


@pytest.fixture
def beating(database_url: str) -> Iterator[Beating]:
    with Database(database_url) as db:
        clock = ManualClock()
        with db.writing() as conn:
            insert_world(conn)
            daemons.insert_daemon(
                conn, "d1", host="h", pid=1, version="1", zone_data="z", now=clock()
            )
        yield Beating(db=db, clock=clock)


def see(beating: Beating) -> None:
    with beating.db.writing() as conn:
        daemons.record_seen(conn, "d1", daemons.Pulse(), now=beating.clock())


async def test_a_daemon_that_lives_is_heard_and_one_that_cannot_write_is_not(
    beating: Beating,
) -> None:
    beating.change("schedules", "hourly", enabled=False)
    first = await beating.beat()
    silent = await beating.beat()
    see(beating)
    again = await beating.beat()

    assert (first, silent, again) == (1, 1, 2)


async def test_what_is_due_and_not_fired_is_silence(beating: Beating) -> None:
    beating.change("schedules", "hourly", next_fire_at=beating.clock() - timedelta(minutes=10))

    assert await beating.beat() == 0


async def test_it_is_called_no_more_often_than_asked(beating: Beating) -> None:
    beating.change("schedules", "hourly", enabled=False)
    await beating.beat()
    beating.clock.tick(-50)

    assert await beating.beat() == 1
