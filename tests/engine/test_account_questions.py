"""What the upstream tells of an account: bills joined with runs, balances, collectors; refused."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from scheduler.actions.account_questions import ask_collectors
from scheduler.domain.account_questions import Bill, BilledBy
from scheduler.domain.answers import Refused, Unanswered
from scheduler.engine.account_questions import AccountQuestionsStep
from scheduler.sandbox import Fault, FaultKind, SandboxSettings, When
from scheduler.sandbox.settings import SandboxCollector
from scheduler.storage.standing import list_standing
from scheduler.tools.collectors_sync import SyncView, read_sync
from scheduler.tools.costs import CostsBy, read_costs
from scheduler.tools.invoice import InvoiceView
from scheduler.upstream import client
from scheduler.upstream.account_answers import read_bill
from scheduler.upstream.response import Response
from scheduler.views.accounts import get_account
from tests.engine.rig import NINE, REQUEST_TIMEOUT, SHOP, Room, engine_room

PRICEY = SandboxSettings(price_per_thousand=1000.0, balance=10.0)
NATIVE = SandboxSettings(
    collectors=(
        SandboxCollector(
            id=SHOP, schedule_frequency="daily", schedule_start="2026-03-01T03:30:00Z"
        ),
        SandboxCollector(id="c_news", name='News "of" the day'),
        SandboxCollector(id="c_odd", schedule_frequency="when the moon is full"),
    )
)


async def ask(room: Room) -> None:
    step = AccountQuestionsStep(
        db=room.db, upstreams=room.upstreams, clock=room.clock, request_timeout=REQUEST_TIMEOUT
    )
    await step.run(room.clock())


async def ran(room: Room) -> None:
    room.ask()
    await room.dispatch()
    await room.follow(after=timedelta(minutes=5))


def invoice(room: Room, by: CostsBy = CostsBy.COLLECTOR) -> InvoiceView | None:
    with room.db.reading() as conn:
        return read_costs(conn, by=by, now=room.clock()).invoice


def account(room: Room) -> Any:
    with room.db.reading() as conn:
        return get_account(conn, "main", now=room.clock())


def told(room: Room) -> list[tuple[str, str | None]]:
    with room.db.reading() as conn:
        standing = list_standing(conn, now=room.clock())
    return [(one.kind.value, one.detail) for one in standing]


def sync(room: Room) -> SyncView:
    with room.db.reading() as conn:
        return read_sync(conn, "main")


async def test_what_is_billed_is_joined_with_runs_and_the_rest_is_listed(
    database_url: str,
) -> None:
    async with engine_room(database_url, PRICEY) as room:
        room.change("accounts", "main", invoice=True)
        await ran(room)
        stranger = room.start_elsewhere()
        room.clock.tick(timedelta(minutes=5))

        await ask(room)
        await ask(room)

        found = invoice(room)
        assert found is not None
        assert (found.billed_money, found.unknown_money) == (2.0, 1.0)
        assert [(one.name, one.billed_money) for one in found.lines] == [("shop", 1.0)]
        assert [(one.subject, one.day) for one in found.unknown] == [(stranger, f"{NINE:%Y-%m-%d}")]
        room.execute("DELETE FROM collections WHERE FALSE")
        room.clock.tick(timedelta(hours=7))
        await ask(room)
        assert invoice(room) is not None
        assert account(room).balance == 8.0


async def test_a_low_balance_is_told_and_one_that_nobody_asks_for_is_not(sqlite_url: str) -> None:
    async with engine_room(sqlite_url, PRICEY) as room:
        await ask(room)
        asked = len(room.received)
        room.change("accounts", "main", balance_below=50.0)
        await ask(room)

        assert asked == 0
        assert told(room) == [("balance", "the balance is 10.00, below 50.00")]


async def test_who_lacks_the_right_is_told_pauses_nothing_and_the_rest_goes_on(
    sqlite_url: str,
) -> None:
    async with engine_room(sqlite_url, SandboxSettings(balance=None)) as room:
        room.change("accounts", "main", invoice=True)

        await ask(room)
        await ran(room)

        assert account(room).not_told == "the upstream refuses it: Permission denied"
        assert (account(room).paused_at, account(room).balance) == (None, None)
        assert room.run(1).ended_at is not None
        before = len(room.received)
        await ask(room)
        assert len(room.received) == before


async def test_the_list_becomes_definitions_that_are_disabled_with_warnings(
    sqlite_url: str,
) -> None:
    async with engine_room(sqlite_url, NATIVE) as room:
        room.schedule("night")
        with room.db.writing() as conn:
            ask_collectors(conn, "main", by="ann", now=room.clock())
        assert sync(room).is_open

        await ask(room)

        found = sync(room)
        assert (found.is_open, found.trouble) == (False, None)
        assert (found.known, found.new) == ((SHOP,), ("c_news", "c_odd"))
        assert '[collectors.news-of-the-day]\nid = "c_news"' in found.text
        assert 'cron = "30 3 * * *"' in found.text
        assert found.text.count("enabled = false") == 2
        assert "manual = true" in found.text
        assert "both fire, and both are billed" in found.warnings[0]
        assert "switch that off" in found.warnings[1]
        assert "no timetable" in found.warnings[2]


async def test_an_upstream_that_has_never_heard_of_the_list_is_a_sentence(sqlite_url: str) -> None:
    async with engine_room(sqlite_url) as room:
        never = Fault(
            kind=FaultKind.ERROR, when=When.BEFORE, path="/dca/collectors_list", status=404
        )
        room.arm(never)
        with room.db.writing() as conn:
            ask_collectors(conn, "main", by="ann", now=room.clock())

        await ask(room)

        assert sync(room).trouble == "the upstream refuses it: Internal error"
        assert not sync(room).is_open


def test_bills_are_read_in_the_shapes_that_may_come() -> None:
    bodies = (
        b'{"2026-11-01": {"j_a": 1.5, "total": 1.5}, "total": 1.5}',
        b'{"data": {"2026-11-01": {"j_a": {"cost": "1.5"}}}}',
        b'[{"date": "2026-11-01", "id": "j_a", "cost": 1.5}]',
        b'{"2026-11-01T00:00:00Z": [{"job": "j_a", "usd": 1.5}, {"x": 1}, 7]}',
    )
    for body in bodies:
        bill = bill_of(body)
        assert [
            (one.day, one.subject, one.money) for one in bill.lines if one.subject == "j_a"
        ] == [("2026-11-01", "j_a", 1.5)]


def bill_of(body: bytes) -> Bill:
    response = Response(clock=lambda: NINE, status=200, body=body)
    bill = read_bill(response, BilledBy.JOB, before=date(2026, 12, 1))
    assert isinstance(bill, Bill)
    return bill


def test_a_bill_without_nonsense_has_no_doubt() -> None:
    for body in (b"{}", b"[]", b'{"total": 0}', b'{"2026-11-01": {}, "2026-11-02": null}'):
        assert bill_of(body) == Bill(lines=())


@pytest.mark.parametrize(
    "nonsense",
    [
        b'"2026-11-02": {"j_b": -1}',
        b'"2026-11-02": {"j_b": "much"}',
        b'"2026-11-02": {"j_b": {"pages": 7}}',
        b'"2026-11-02": {"j_b": NaN}',
        b'"2026-11-02": "nothing"',
        b'"2026-12-01": {"j_b": 1}',
        b'"2026-11-31": {"j_b": 1}',
    ],
)
def test_nonsense_in_a_bill_is_a_doubt_and_the_rest_counts(nonsense: bytes) -> None:
    bill = bill_of(b'{"2026-11-01": {"j_a": 1.5, "total": -1}, %b}' % nonsense)

    assert [(one.day, one.subject) for one in bill.lines] == [("2026-11-01", "j_a")]
    assert (bill.doubt or "").startswith("1 of the costs by dca_jobs that it told cannot be")


def test_a_bill_of_another_shape_is_a_doubt() -> None:
    for body in (b'{"yesterday": {"j_a": 1}}', b'{"message": "soon"}', b'[{"id": "j_a"}]', b"[7]"):
        bill = bill_of(body)
        assert (bill.lines, bill.doubt is None) == ((), False)


async def test_nonsense_in_a_bill_is_told_where_costs_are_shown_and_in_the_log(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(response: Response, by: BilledBy, *, before: date) -> Bill | Refused | Unanswered:
        body = b'{"2026-03-02": {"j_a": 1.5, "j_b": -7}}'
        return read_bill(replace(response, body=body), by, before=before)

    monkeypatch.setattr(client, "read_bill", read)
    async with engine_room(sqlite_url) as room:
        room.change("accounts", "main", invoice=True)
        with capture_logs() as logs:
            await ask(room)

        found = invoice(room)
        assert found is not None
        assert found.unknown_money == 1.5
        sentence = "the first is -7 on '2026-03-02' for 'j_b'"
        assert sentence in (found.sources[0].trouble or "")
        assert [sentence in one["trouble"] for one in logs if "trouble" in one] == [True]
