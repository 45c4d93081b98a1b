"""What is wrong, and who is told: once, when it changes, whoever dies in between."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from scheduler.actions.alerts import acknowledge
from scheduler.config.notice_settings import USUAL_KINDS, ChannelDefinition
from scheduler.domain.account_questions import AccountCall, Balance
from scheduler.domain.notices import Rule
from scheduler.domain.pauses import Freeze
from scheduler.engine.alerts import AlertStep
from scheduler.engine.deliver import DeliverStep
from scheduler.storage import account_questions, alerts, freezes, last_ends, notices
from scheduler.storage.database import Database
from scheduler.storage.last_ends import LastEnd
from tests.engine.rows import NINE, ManualClock, Rows
from tests.storage.rows import insert_run, insert_schedule, insert_world

pytestmark = pytest.mark.quiet


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    with Database(database_url, by="d1") as database:
        yield database


OPS = ChannelDefinition(type="command", command=("/bin/true",))


@dataclass
class Post:
    """Every message that a receiver got, and what it says to the next one."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    says: str | None = None
    deaf: str | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, channel: ChannelDefinition, message: dict[str, Any]) -> str | None:
        if message["channel"] == self.deaf:
            await asyncio.Event().wait()
        self.messages.append(dict(message))
        self.arrived.set()
        return self.says


@dataclass(kw_only=True)
class Office(Rows):
    """A database, the step that notes, the step that tells, and a receiver in memory."""

    rules: list[Rule]
    post: Post = field(default_factory=Post)
    channels: dict[str, ChannelDefinition] = field(default_factory=lambda: {"ops": OPS})

    def note(self) -> AlertStep:
        return AlertStep(
            db=self.db, rules=lambda: self.rules, wake_delivery=lambda: None, now=self.clock
        )

    def teller(self) -> DeliverStep:
        return DeliverStep(
            db=self.db,
            channels=lambda: self.channels,
            senders=self.post,  # type: ignore[arg-type]  # it sends, into a list
            clock=self.clock,
            wake=lambda: None,
        )

    async def look(self) -> None:
        """Note what is wrong by now."""
        await self.note().run(self.clock())

    async def tell(self) -> list[dict[str, Any]]:
        """Note, wait until a message is due, send it; return what was new."""
        await self.look()
        before = len(self.post.messages)
        self.clock.tick(timedelta(minutes=10))
        step = self.teller()
        await step.run(self.clock())
        await step.drain(timedelta(seconds=60))
        return [event for message in self.post.messages[before:] for event in message["notices"]]


def everything(**how: Any) -> Rule:
    usual = {"channels": ("ops",), "kinds": frozenset(USUAL_KINDS)}
    return Rule(**(usual | {"remind_every": timedelta(days=1)} | how))


@pytest.fixture
def office(db: Database) -> Office:
    with db.writing() as conn:
        insert_world(conn)
        insert_schedule(conn, name="weekly", labels=",data,", next_fire_at=None)
    return Office(db=db, clock=ManualClock(), rules=[everything()])


def end(office: Office, state: str, reason: str, **columns: Any) -> int:
    """Let a run of the schedule `hourly` end so, each at a time of its own."""
    office.clock.tick(60)
    usual = {"schedule": "hourly", "due_at": office.clock(), "collection_id": None}
    if state in ("succeeded", "partial"):
        usual["collection_id"] = f"j_{office.clock():%H%M%S%f}"
    with office.db.writing() as conn:
        return insert_run(conn, state=state, reason=reason, **(usual | columns))


def told(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(event["kind"], event["change"], event["subject"]) for event in events]


HOURLY = "schedules.hourly"


async def test_a_schedule_that_fails_is_told_once_and_again_when_it_recovers(
    office: Office,
) -> None:
    end(office, "failed", "refused")
    first = await office.tell()
    end(office, "failed", "refused")
    second = await office.tell()
    end(office, "succeeded", "done")
    third = await office.tell()

    assert told(first) == [("failing", "opened", HOURLY)]
    assert told(second) == []
    assert told(third) == [("failing", "recovered", HOURLY)]
    assert third[0]["count"] == 2


async def test_what_lasts_is_told_again_after_a_while_until_somebody_knows(
    office: Office,
) -> None:
    end(office, "failed", "refused")
    await office.tell()

    office.clock.tick(timedelta(days=1))
    reminded = await office.tell()
    with office.db.writing() as conn:
        acknowledge(conn, ["hour*"], by="alice", now=office.clock())
    office.clock.tick(timedelta(days=2))
    acked = await office.tell()

    assert told(reminded) == [("failing", "still", HOURLY)]
    assert acked == []


async def test_what_failed_and_recovered_between_two_looks_is_told_with_its_end(
    office: Office,
) -> None:
    end(office, "skipped", "missed")
    end(office, "succeeded", "done")

    events = await office.tell()

    assert told(events) == [("missed", "opened", HOURLY), ("missed", "recovered", HOURLY)]


async def test_an_outage_of_forty_schedules_is_one_message(office: Office) -> None:
    with office.db.writing() as conn:
        for number in range(40):
            insert_schedule(conn, name=f"shop-{number}")
    for number in range(40):
        end(office, "failed", "refused", schedule=f"shop-{number}")

    await office.tell()

    assert len(office.post.messages) == 1
    assert len(office.post.messages[0]["notices"]) == 40
    assert office.post.messages[0]["title"] == "40 failing"


async def test_what_is_frozen_is_told_after_the_thaw_if_it_lasts(office: Office) -> None:
    freeze = Freeze(scope="label:data", frozen_at=NINE, frozen_by="bob", reason="move", until=None)
    with office.db.writing() as conn:
        freezes.insert_freeze(conn, freeze)
    end(office, "failed", "refused", schedule="weekly", labels=",data,")

    frozen = await office.tell()
    with office.db.writing() as conn:
        freezes.delete_freeze(conn, "label:data")
    thawed = await office.tell()

    assert frozen == []
    assert told(thawed) == [("failing", "opened", "schedules.weekly")]


async def test_a_rule_tells_only_what_it_names(office: Office) -> None:
    office.rules = [everything(schedules=("week*",)), everything(labels=("none",))]
    end(office, "failed", "refused")
    end(office, "failed", "refused", schedule="weekly")

    events = await office.tell()

    assert told(events) == [("failing", "opened", "schedules.weekly")]


async def test_success_is_told_only_where_it_is_asked_for(office: Office) -> None:
    office.rules = [everything(kinds=frozenset({"succeeded"}))]
    end(office, "failed", "refused")
    end(office, "succeeded", "done")

    events = await office.tell()

    assert told(events) == [("succeeded", "event", HOURLY)]


async def test_a_result_that_grows_old_is_told_and_a_good_one_ends_it(office: Office) -> None:
    office.change("schedules", "hourly", fresh_within="36h")

    early = await office.tell()
    office.clock.tick(timedelta(hours=36))
    late = await office.tell()
    end(office, "succeeded", "done")
    with office.db.writing() as conn:
        last_ends.record(
            conn,
            [LastEnd(schedule="hourly", ended_at=office.clock(), succeeded_at=office.clock())],
        )
    good = await office.tell()

    assert early == []
    assert told(late) == [("stale", "opened", HOURLY)]
    assert told(good) == [("stale", "recovered", HOURLY)]


async def test_on_end_hears_of_each_run_by_itself(office: Office) -> None:
    office.rules = []
    office.change("schedules", "hourly", on_end="ops")
    run = end(office, "succeeded", "done")
    end(office, "skipped", "missed")
    end(office, "failed", "refused")

    events = await office.tell()

    assert len(office.post.messages) == 2
    assert [event["run"]["state"] for event in events] == ["succeeded", "failed"]
    assert events[0]["run"]["id"] == run


async def test_a_crash_before_the_commit_leaves_no_notice_and_loses_none(
    office: Office,
) -> None:
    end(office, "failed", "refused")

    with pytest.raises(RuntimeError), office.db.writing() as conn:
        office.note().take(conn)
        raise RuntimeError("killed")
    events = await office.tell()

    assert told(events) == [("failing", "opened", HOURLY)]


async def test_a_message_that_was_sent_and_not_recorded_comes_again_under_its_id(
    office: Office,
) -> None:
    end(office, "failed", "refused")
    await office.look()
    office.clock.tick(60)
    with office.db.writing() as conn:  # what a process did that was killed while it sent
        office.teller()._pass(conn, channels=office.channels, now=office.clock())
    end(office, "failed", "refused", schedule="weekly")

    await office.tell()
    await office.tell()

    first, second = office.post.messages
    assert told(first["notices"]) == [("failing", "opened", HOURLY)]
    assert told(second["notices"]) == [("failing", "opened", "schedules.weekly")]
    with office.db.reading() as conn:
        delivery = notices.get_delivery(conn, first["id"])
    assert delivery is not None
    assert delivery.attempts == 2


async def test_a_receiver_that_is_away_gets_all_of_it_afterwards(office: Office) -> None:
    office.post.says = "answered 500"
    end(office, "failed", "refused")
    await office.tell()
    end(office, "failed", "refused", schedule="weekly")
    await office.tell()
    office.post.says = None
    await office.tell()
    await office.tell()

    ids = [message["id"] for message in office.post.messages]
    assert len(set(ids)) == 2
    assert ids == sorted(ids, key=ids.index)
    assert told(office.post.messages[-1]["notices"]) == [("failing", "opened", "schedules.weekly")]


async def test_a_channel_that_hangs_holds_up_no_other(office: Office) -> None:
    office.channels["deaf"] = OPS
    office.rules = [everything(channels=("deaf", "ops"))]
    office.post.deaf = "deaf"
    end(office, "failed", "refused")
    await office.look()
    office.clock.tick(60)
    step = office.teller()

    await step.run(office.clock())
    await asyncio.wait_for(office.post.arrived.wait(), 60)
    sent = [message["channel"] for message in office.post.messages]
    await step.drain(timedelta())

    assert sent == ["ops"]


async def test_a_message_is_given_up_after_its_last_attempt(office: Office) -> None:
    office.channels["ops"] = OPS.model_copy(update={"max_attempts": 2})
    office.post.says = "answered 500"
    end(office, "failed", "refused")

    for _ in range(4):
        await office.tell()

    assert len(office.post.messages) == 2
    with office.db.reading() as conn:
        (outbox,) = notices.list_outboxes(conn, given_up_since=NINE)
    assert (outbox.waiting_count, outbox.given_up_count) == (0, 1)
    assert outbox.last_error == "answered 500"


async def test_what_nobody_can_mend_any_more_is_over(office: Office) -> None:
    end(office, "failed", "refused")
    await office.tell()
    office.change("schedules", "hourly", enabled=False)

    events = await office.tell()

    assert told(events) == [("failing", "recovered", HOURLY)]


async def test_what_stands_wrong_is_told_and_its_end(office: Office) -> None:
    office.change("schedules", "hourly", error="no such batch")

    wrong = await office.tell()
    office.change("schedules", "hourly", error=None)
    mended = await office.tell()

    assert told(wrong) == [("invalid", "opened", HOURLY)]
    assert told(mended) == [("invalid", "recovered", HOURLY)]


async def test_what_has_a_figure_shows_the_newest_and_is_told_once(office: Office) -> None:
    def ask(balance: float) -> None:
        with office.db.writing() as conn:
            account_questions.note_answer(
                conn,
                "main",
                AccountCall.BALANCE,
                Balance(balance=balance),
                now=office.clock(),
                again=None,
            )

    office.change("accounts", "main", balance_below=50.0)
    ask(40.0)
    first = await office.tell()
    ask(7.0)
    second = await office.tell()
    with office.db.reading() as conn:
        (alert,) = alerts.list_open(conn)

    assert ([kind for kind, _, _ in told(first)], second) == (["balance"], [])
    assert "7.00" in str(alert.detail)


def late_in_time(office: Office) -> None:
    """The database itself notes when a row of a test ended: by no clock of ours."""
    office.clock.now = max(office.clock.now, NINE.replace(year=2100))


async def test_runs_that_outlast_their_interval_are_told_until_one_does_not(
    office: Office,
) -> None:
    late_in_time(office)
    events: list[list[tuple[str, str, str]]] = []
    for hour, took in enumerate((61, 62, 63, 30)):
        due_at = NINE + timedelta(hours=3 * hour)
        ended_at = due_at + timedelta(minutes=took)
        following = {"due_at": due_at + timedelta(hours=1), "ended_at": ended_at}
        end(office, "skipped", "overlapped", **following)
        end(office, "succeeded", "done", due_at=due_at, triggered_at=due_at, ended_at=ended_at)
        events.append(told(await office.tell()))

    assert events == [
        [],
        [],
        [("cadence", "opened", HOURLY)],
        [("cadence", "recovered", HOURLY)],
    ]


async def test_what_was_cancelled_for_its_overrun_has_failed(office: Office) -> None:
    late_in_time(office)
    end(office, "cancelled", "overrun", collection_id="j_long")
    first = await office.tell()
    end(office, "cancelled", "cancelled_by_hand", collection_id="j_hand")

    assert told(first) == [("failing", "opened", HOURLY)]
    assert told(await office.tell()) == []
