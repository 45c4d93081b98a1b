"""What is old is forgotten, a little at a time, and never what is still needed."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from scheduler.domain.notices import AlertKind, NewNotice, NoticeChange, Observed
from scheduler.domain.records import Outcome, Reason, RunState
from scheduler.domain.retention import Retention
from scheduler.engine.prune import PruneStep
from scheduler.storage import alerts, notices, retention, tables
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import give_back_pages
from scheduler.storage.invariants import list_violations
from scheduler.storage.retention import (
    Sweep,
    count_others,
    prune_others,
    prune_runs,
    pruned_until,
)
from scheduler.storage.run_counts import list_day_counts
from scheduler.storage.runs.sent import count_last_sent
from scheduler.storage.upkeep_tables import run_counts, usage
from scheduler.storage.weaknesses import large_log
from tests.make import NINE, make_body
from tests.storage.rows import (
    insert_attempt,
    insert_body,
    insert_collection,
    insert_run,
    insert_schedule,
)

NOW = NINE + timedelta(days=400)
RULES = Retention(runs=timedelta(days=100))
KEPT = 100


def past(conn: Connection, number: int, **overrides: Any) -> int:
    """Write a run that ended well, an hour after the one before it, with all that hangs on it."""
    at = NINE + timedelta(hours=number)
    columns: dict[str, Any] = {
        "schedule": "hourly",
        "due_at": at,
        "created_at": at,
        "state": RunState.SUCCEEDED,
        "reason": Reason.DONE,
        "ended_at": at,
        "collection_id": f"j_{number}",
        "fence": 1,
        "attempt_count": 1,
        **overrides,
    }
    run_id = insert_run(conn, **columns)
    if columns["collection_id"] is not None:
        insert_attempt(
            conn, run_id, outcome=Outcome.ACCEPTED, collection_id=columns["collection_id"]
        )
        insert_collection(conn, run_id, id=columns["collection_id"], lines=2, inputs=3)
    return run_id


def history(db: Database, count: int, **overrides: Any) -> list[int]:
    with db.writing() as conn:
        made = [past(conn, number, **overrides) for number in range(count)]
        mark = NINE + timedelta(hours=count)
        conn.execute(update(tables.schedules).values(fired_until=mark, created_at=NINE))
    return made


def prune(db: Database, rules: Retention = RULES, *, now: datetime = NOW) -> Counter[str]:
    """Go through all runs as often as something goes."""
    counts: Counter[str] = Counter()
    while True:
        sweep, gone = Sweep(), Counter[str]()
        while not sweep.done:
            with db.writing() as conn:
                gone.update(prune_runs(conn, sweep, rules, now=now))
        if not gone["runs"]:
            return counts
        counts += gone


def left(db: Database) -> list[int]:
    with db.reading() as conn:
        return list(conn.scalars(select(tables.runs.c.id).order_by(tables.runs.c.id)))


def test_old_runs_go_with_all_that_hangs_on_them_but_for_the_newest_of_a_schedule(
    db: Database,
) -> None:
    made = history(db, KEPT + 50)

    gone = prune(db)

    assert left(db) == made[-KEPT:]
    assert gone["runs"] == gone["attempts"] == gone["collections"] == 50
    with db.reading() as conn:
        counted = conn.execute(
            select(
                func.sum(run_counts.c.runs),
                func.sum(run_counts.c.lines),
                func.sum(run_counts.c.inputs),
            )
        ).one()
        events = conn.scalar(select(func.count(func.distinct(tables.run_events.c.run_id))))
        assert tuple(counted) == (50, 100, 150)
        assert events == KEPT
        assert list_violations(conn) == []
        assert pruned_until(conn, "hourly") == NINE + timedelta(hours=49)


def test_counts_of_a_day_add_up_over_many_sweeps(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOKED_AT", 7)
    history(db, KEPT + 30)

    prune(db)

    with db.reading() as conn:
        rows = conn.execute(select(run_counts).order_by(run_counts.c.day)).all()
    assert [(row.day, row.schedule, row.state, row.runs) for row in rows] == [
        ("2026-03-02", "hourly", "succeeded", 15),
        ("2026-03-03", "hourly", "succeeded", 15),
    ]


def test_nothing_goes_without_rules_or_before_its_age(db: Database) -> None:
    made = history(db, KEPT + 50)

    prune(db, Retention())
    prune(db, now=NINE + timedelta(days=90))
    # However short the rule: the upstream still lists the jobs.
    prune(db, Retention(runs=timedelta(days=1)), now=NINE + timedelta(days=17))

    assert left(db) == made


def test_runs_beyond_the_number_of_a_schedule_go(db: Database) -> None:
    made = history(db, KEPT + 50)

    prune(db, Retention(runs_per_schedule=KEPT + 20))

    assert left(db) == made[-KEPT - 20 :]


def test_what_is_open_or_named_by_a_run_that_stays_is_kept(db: Database) -> None:
    made = history(db, KEPT + 10)
    with db.writing() as conn:
        mended = insert_run(conn, schedule="hourly", due_at=NINE, retry_of=made[0])
        waiting = insert_run(conn, waits_for=made[1])
        conn.execute(
            update(tables.collections)
            .where(tables.collections.c.run_id == made[-1])
            .values(replaced_by=made[2])
        )

    prune(db)

    assert left(db) == [*made[:3], *made[10:], mended, waiting]


def test_a_retry_and_what_it_retried_go_together(db: Database) -> None:
    made = history(db, KEPT + 10)
    with db.writing() as conn:
        conn.execute(
            update(tables.runs).where(tables.runs.c.id == made[5]).values(retry_of=made[4])
        )

    prune(db)

    assert left(db) == made[10:]


def test_chunks_of_an_occurrence_go_together_or_not_at_all(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOKED_AT", 1)
    with db.writing() as conn:
        both = [
            past(conn, -9, chunk=1, chunks=2, collection_id="j_a"),
            past(conn, -9, chunk=2, chunks=2, collection_id="j_b"),
        ]
        keyed = {"chunks": 2, "due_at": NINE - timedelta(hours=20), "collection_id": "j_c"}
        held = [past(conn, -8, chunk=1, request_key="k", **keyed)]
        held += [past(conn, -8, chunk=2, **{**keyed, "collection_id": "j_d"})]
    history(db, KEPT)

    prune(db)

    assert not set(both) & set(left(db))
    assert set(held) <= set(left(db))


def test_a_run_with_a_key_is_kept_as_long_as_the_key(db: Database) -> None:
    with db.writing() as conn:
        asked = past(conn, -2, schedule=None, batch=None, request_key="k")
    history(db, KEPT)

    prune(db)
    kept = left(db)
    prune(db, Retention(runs=timedelta(days=100), request_keys=timedelta(days=300)))

    assert asked in kept
    assert asked not in left(db)


def test_the_last_that_was_sent_of_a_batch_is_kept_to_compare_with(db: Database) -> None:
    with db.writing() as conn:
        insert_schedule(conn, name="rare", fired_until=NINE)
        sent = past(conn, -5, schedule="rare", batch="bestsellers")
        for number in range(KEPT + 20):
            past(
                conn,
                1000 + number,
                schedule="rare",
                batch="bestsellers",
                collection_id=None,
                state=RunState.SKIPPED,
                reason=Reason.MISSED,
                fence=0,
                attempt_count=0,
                created_at=NINE,
                ended_at=NINE,
            )
    with db.reading() as conn:
        before = count_last_sent(conn, ["bestsellers"])

    gone = prune(db)

    with db.reading() as conn:
        assert count_last_sent(conn, ["bestsellers"]) == before != {}
    assert sent in left(db)
    assert gone["runs"] == 20


def test_runs_that_max_runs_counts_are_kept(db: Database) -> None:
    made = history(db, KEPT + 10)
    with db.writing() as conn:
        conn.execute(update(tables.schedules).values(max_runs=1000))

    prune(db)

    assert left(db) == made


def test_what_ended_while_something_is_unresolved_is_kept(db: Database) -> None:
    made = history(db, KEPT + 10)
    with db.writing() as conn:
        lost = insert_run(
            conn,
            state=RunState.UNCONFIRMED,
            reason=Reason.ANSWER_LOST,
            next_lookup_at=NOW,
            created_at=NINE + timedelta(days=1),
            fence=1,
        )
        insert_attempt(conn, lost, outcome=Outcome.LOST)

    prune(db)

    assert left(db) == [*made, lost]


def test_a_body_goes_with_the_last_run_that_names_it(db: Database) -> None:
    with db.writing() as conn:
        insert_body(conn, fingerprint="other", created_at=NINE)
        past(conn, -2, body="other")
    history(db, KEPT)

    gone = prune(db)

    with db.reading() as conn:
        kept = set(conn.scalars(select(tables.bodies.c.fingerprint)))
    assert kept == {make_body().fingerprint}
    assert gone["bodies"] == 1


def test_an_id_is_not_given_again_though_all_runs_are_old(db: Database) -> None:
    with db.writing() as conn:
        last = [past(conn, number, schedule=None) for number in range(3)][-1]

    prune(db)

    assert left(db) == [last]


def test_a_dry_run_counts_and_writes_nothing(db: Database) -> None:
    made = history(db, KEPT + 50)
    with db.reading() as conn:
        counted = prune_runs(conn, Sweep(), RULES, now=NOW, dry_run=True)

    assert left(db) == made
    assert counted == {"runs": 50, "attempts": 50, "collections": 50, "failed_inputs": 0}


def test_a_dry_run_counts_each_chunk_once(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks of an occurrence are looked at together, and each again on its own page."""
    monkeypatch.setattr(retention, "LOOKED_AT", 1)
    with db.writing() as conn:
        for chunk in (1, 2, 3):
            past(conn, -9, chunk=chunk, chunks=3, collection_id=f"j_{chunk}_of_3")
    history(db, KEPT)
    counted, sweep = Counter[str](), Sweep()
    while not sweep.done:
        with db.reading() as conn:
            counted.update(prune_runs(conn, sweep, RULES, now=NOW, dry_run=True))

    assert counted["runs"] == 3
    assert prune(db)["runs"] == 3


def test_of_two_that_prune_at_once_one_does(db: Database) -> None:
    history(db, KEPT + 50)
    if db.file is not None:
        return  # its writer is alone
    with db.writing() as one, db.writing() as other:
        assert prune_runs(one, Sweep(), RULES, now=NOW)["runs"] == 50
        sweep = Sweep()
        assert prune_runs(other, sweep, RULES, now=NOW) == {}
        assert sweep.done


def test_old_changes_go_and_newer_ones_stay(db: Database) -> None:
    with db.writing() as conn:
        for days in (300, 200, 10):
            change = {"by": "alice", "action": "pause", "subject": "x"}
            conn.execute(
                insert(tables.changes).values(happened_at=NOW - timedelta(days=days), **change)
            )
        rules = Retention(changes=timedelta(days=100))
        first = prune_others(conn, rules, now=NOW, limit=1)
        second = prune_others(conn, rules, now=NOW, limit=10)

        assert (first["changes"], second["changes"]) == (1, 1)
        assert conn.scalar(select(func.count()).select_from(tables.changes)) == 1


def test_what_was_told_goes_with_its_alert_once_both_are_over(db: Database) -> None:
    with db.writing() as conn:
        for days, is_over, is_told in (
            (200, True, True),
            (200, False, True),
            (200, True, False),
            (10, True, True),
        ):
            _tell(conn, NOW - timedelta(days=days), is_over=is_over, is_told=is_told)
        rules = Retention(notices=timedelta(days=100))
        counts = [prune_others(conn, rules, now=NOW, limit=10) for _ in range(3)]
        left = [
            conn.scalar(select(func.count()).select_from(table))
            for table in (tables.alerts, tables.notices, tables.deliveries)
        ]

    gone = {name: sum(one[name] for one in counts) for name in ("alerts", "notices", "deliveries")}
    assert gone == {"alerts": 1, "notices": 1, "deliveries": 1}
    assert left == [3, 3, 3]


def test_what_each_day_sent_is_forgotten_but_for_what_limits_and_budgets_read(
    db: Database,
) -> None:
    key = {"account": "main", "collector": "shop", "labels": ""}
    ages = (1, 61, 90, 100)
    with db.writing() as conn:
        insert_schedule(conn, name="seldom", min_interval="95d")
        days = [f"{NOW - timedelta(days=age):%Y-%m-%d}" for age in ages]
        rows = [{"day": day, "schedule": name, **key} for day in days for name in ("a", "b")]
        conn.execute(insert(usage), rows)
        rules = Retention(usage=timedelta(days=62))
        told = count_others(conn, rules, now=NOW)
        gone = [prune_others(conn, rules, now=NOW, limit=1) for _ in range(3)]
        kept = prune_others(conn, Retention(), now=NOW, limit=1)
        left = sorted(set(conn.scalars(select(usage.c.day))))

    assert told["usage"] == 2
    assert [one["usage"] for one in gone] == [1, 1, 0]
    assert "usage" not in kept
    assert left == sorted(days[:3])


def _tell(conn: Connection, at: datetime, *, is_over: bool, is_told: bool) -> None:
    seen = Observed(kind=AlertKind.FAILING, subject=f"schedules.{at}{is_over}{is_told}", since=at)
    alert = alerts.insert_alert(conn, seen)
    if is_over:
        alerts.update_alert(conn, replace(alert, recovered_at=at))
    notice = NewNotice(
        channel="ops",
        kind=seen.kind,
        change=NoticeChange.OPENED,
        subject=seen.subject,
        event={},
        alert_id=alert.id,
    )
    delivery = notices.insert_single(conn, notice, now=at)
    if is_told:
        notices.settle(conn, delivery, "delivered", error=None, now=at)


async def test_the_daemon_prunes_chunk_by_chunk_and_then_rests(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOKED_AT", 60)
    made = history(db, KEPT + 50)
    step = PruneStep(db=db, rules=lambda: RULES)
    now, passes = NOW, 0

    while (following := await step.run(now)) is not None and following < now + timedelta(hours=1):
        now, passes = following, passes + 1

    assert left(db) == made[-KEPT:]
    assert passes >= 3
    assert await step.run(now) == following


def test_a_new_file_shrinks_while_it_is_used(sqlite_url: str) -> None:
    with Database(sqlite_url) as db:
        assert db.file is not None
        with db.writing() as conn:
            text = {"send_as": "json", "row_count": 1, "byte_count": 1, "created_at": NINE}
            rows = [{"fingerprint": str(n), "text": "x" * 100_000, **text} for n in range(40)]
            conn.execute(insert(tables.bodies), rows)
        with db.writing() as conn:
            conn.execute(tables.bodies.delete())
        before = _pages(db)
        with db.reading() as reader:
            reader.execute(select(tables.runs)).all()
            for _ in range(20):
                with db.writing() as conn:
                    if not give_back_pages(conn):
                        break
        assert _pages(db) < before / 2


def _pages(db: Database) -> int:
    with db.reading() as conn:
        return int(conn.exec_driver_sql("PRAGMA page_count").scalar() or 0)


def test_a_log_that_a_forgotten_reader_holds_is_told(sqlite_url: str) -> None:
    with Database(sqlite_url) as db:
        assert db.file is not None
        assert large_log(db.file) is None
        log = db.file.with_name(db.file.name + "-wal")
        with log.open("wb") as opened:
            opened.truncate(65_000_000)

        assert "65 MB" in str(large_log(db.file))
        log.unlink()


def test_the_counts_of_days_are_the_same_before_and_after(db: Database) -> None:
    history(db, KEPT + 50)
    with db.writing() as conn:
        past(conn, 500, schedule=None)
        past(conn, 3, retry_of=1, collection_id="j_again")
    with db.reading() as conn:
        before = list_day_counts(conn, since=NINE)

    gone = prune(db)

    assert gone["runs"] > 40
    with db.reading() as conn:
        after = list_day_counts(conn, since=NINE)
        of_hourly = list_day_counts(conn, since=NINE + timedelta(days=1), schedule="hourly")
    assert after == before
    assert [(one.day, one.schedule, one.runs, one.occurrences, one.lines) for one in after][:2] == [
        ("2026-03-02", "hourly", 16, 15, 32),
        ("2026-03-03", "hourly", 24, 24, 48),
    ]
    assert [one.schedule for one in after].count(None) == 1
    assert of_hourly == [one for one in after if one.schedule == "hourly"][1:]


def test_to_open_a_file_waits_for_no_writer(sqlite_url: str) -> None:
    with Database(sqlite_url) as one, one.writing() as conn:
        conn.execute(tables.changes.delete())
        with Database(sqlite_url) as other, other.reading() as reader:
            assert reader.exec_driver_sql("PRAGMA auto_vacuum").scalar() == 2
