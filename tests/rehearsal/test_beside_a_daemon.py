"""What a rehearsal says would be sent is what daemons send whose clock is made up."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from scheduler.actions.apply import apply_definitions
from scheduler.config import load_config
from scheduler.domain.weekly import WeeklyStretch
from scheduler.rehearsal.daemon import LOOPS, RehearsedSettings, SimulatedDaemon
from scheduler.rehearsal.rehearse import RehearsalPlan, rehearse
from scheduler.rehearsal.upstream import SimulatedUpstream
from scheduler.rehearsal.virtual_loop import VirtualLoop, pause, run_virtually
from scheduler.sandbox import SandboxSettings
from scheduler.storage import migrate
from scheduler.storage.database import Database
from scheduler.storage.rehearsed import RehearsedRun, list_rehearsed
from scheduler.upstream.in_process import in_process
from scheduler.views.rehearsing import Past
from tests.make import NINE

FILE = """
[accounts.main]
token = { env = "TOKEN" }
[collectors.shop]
id = "c_shop"
[collectors.news]
id = "c_news"
[queues.night]
[batches.two]
inputs = [{ url = "https://example.org/1" }, { url = "https://example.org/2" }]
[schedules.hourly]
collector = "shop"
batch = "two"
cron = "30 * * * *"
[schedules.next]
collector = "news"
batch = "two"
after = "hourly"
[schedules.skipping]
collector = "news"
batch = "two"
cron = "*/15 * * * *"
overlap = "skip"
[schedules.all]
collector = "shop"
batch = "two"
queue = "night"
cron = "*/45 * * * *"
timezone = "Europe/Berlin"
catch_up = "all"
"""
LENGTH = timedelta(minutes=20)
OUTAGE = WeeklyStretch.parse("mon 12:05..mon 13:40", ZoneInfo("UTC"))
PLAN = RehearsalPlan(start=NINE, days=0.3, length=LENGTH, outages=[OUTAGE])
SEEN_LATER = timedelta(seconds=25)
"""By so much a rehearsal may see an end later, and send later what waits for it."""


def daemons(folder: Path) -> list[RehearsedRun]:
    """Have one daemon stop, and another start, as the plan says; each looks as often as it does."""
    config = load_config(folder / "config.toml", {}).config
    url = f"sqlite:///{folder / 'live.db'}"

    async def main(loop: VirtualLoop) -> None:
        lasting = SandboxSettings(build_time=LENGTH, time_per_input=timedelta())
        upstream = SimulatedUpstream(clock=loop.now, settings=lasting)
        settings = RehearsedSettings(config, {})
        settings.wire = lambda _: in_process(upstream.connect, upstream.carry)
        for owner, until in (("first", OUTAGE.next_edge(NINE)), ("second", PLAN.end)):
            daemon = SimulatedDaemon(
                db=db, settings=settings, clock=loop.now, owner=owner,
                max_idle=timedelta(seconds=30), loops=(*LOOPS, "metrics", "prune", "record"),
            )  # fmt: skip
            await daemon.start()
            await pause((until - loop.now()).total_seconds())
            await daemon.stop(timedelta(minutes=1))
            if until < PLAN.end:
                await pause((OUTAGE.next_edge(loop.now()) - loop.now()).total_seconds())
        sent.extend(job.queued_at for job in upstream.jobs)

    sent: list[datetime] = []
    with Database(url, checkpoints=True, durable=False) as db:
        with db.writing() as conn:
            migrate.upgrade(conn)
            apply_definitions(conn, config, by="test", now=NINE)
        run_virtually(main, start=NINE)
        with db.reading() as conn:
            runs = list_rehearsed(conn)
    assert len(sent) == sum(run.triggered_at is not None for run in runs)
    return runs


def test_what_is_rehearsed_is_what_happens(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(FILE)

    said = rehearse(load_config(tmp_path / "config.toml", {}).config, {}, PLAN, Past()).runs
    done = daemons(tmp_path)

    def told(run: RehearsedRun) -> tuple[object, ...]:
        return run.schedule, run.due_at if run.schedule != "next" else None, run.state, run.reason

    assert sorted(map(str, map(told, said))) == sorted(map(str, map(told, done)))
