"""The run that is written for an occurrence, a request or a retry: whole, whatever is edited."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from scheduler.domain.new_run import (
    Occurrence,
    queue_order_key,
    requested_run,
    retried_run,
    scheduled_run,
)
from scheduler.domain.records import (
    Collector,
    NewRun,
    OnUnconfirmed,
    Overlap,
    QueueOrder,
    Reason,
    Run,
    RunState,
    Schedule,
)
from tests.make import (
    NINE,
    make_batch,
    make_body,
    make_collector,
    make_fallbacks,
    make_new_run,
    make_run,
    make_schedule,
    minutes,
    seconds,
)

HOUR = timedelta(hours=1)
NOW = NINE + seconds(3)


def make_occurrence(reason: Reason = Reason.DUE, delay: timedelta = timedelta()) -> Occurrence:
    return Occurrence(due_at=NINE, reason=reason, not_before=NINE + delay)


def new_run(
    schedule: Schedule | None = None,
    collector: Collector | None = None,
    occurrence: Occurrence | None = None,
    order: QueueOrder = QueueOrder.STRICT,
    **defaults: Any,
) -> NewRun:
    return scheduled_run(
        schedule or make_schedule(),
        collector or make_collector(),
        make_batch(),
        occurrence or make_occurrence(),
        body=make_body(),
        order=order,
        defaults=make_fallbacks(**defaults),
        now=NOW,
    )


def test_a_due_occurrence_is_a_run_that_waits_to_be_sent() -> None:
    assert new_run() == make_new_run(created_at=NOW)


FATES = [
    (Reason.DUE, RunState.QUEUED),
    (Reason.BAD_INPUTS, RunState.FAILED),
    (Reason.MISSED, RunState.SKIPPED),
    (Reason.COALESCED, RunState.SKIPPED),
    (Reason.OVERLAPPED, RunState.SKIPPED),
    (Reason.PAUSED, RunState.SKIPPED),
    (Reason.FROZEN, RunState.SKIPPED),
    (Reason.PREDECESSOR_FAILED, RunState.SKIPPED),
]


@pytest.mark.parametrize(("reason", "state"), FATES)
def test_every_fate_is_a_run_of_its_own(reason: Reason, state: RunState) -> None:
    run = new_run(occurrence=replace(make_occurrence(reason), detail="words"))

    is_open = state is RunState.QUEUED
    assert (run.state, run.reason, run.detail) == (state, reason, "words")
    assert run.ended_at == (None if is_open else NOW)
    assert run.body == (make_body().fingerprint if is_open else None)


def test_a_delayed_run_may_be_sent_as_late_after_its_delay() -> None:
    run = new_run(occurrence=make_occurrence(delay=minutes(7)))

    assert run.due_at == NINE
    assert run.not_before == NINE + minutes(7)
    assert run.send_before == NINE + minutes(7) + HOUR


@pytest.mark.parametrize(("grace", "end"), [("1s", seconds(1)), ("2d", timedelta(days=2))])
def test_a_run_may_be_sent_until_its_misfire_grace_is_over(grace: str, end: timedelta) -> None:
    assert new_run(make_schedule(misfire_grace=grace)).send_before == NINE + end


POLICIES: list[tuple[str, Any, Any, Any]] = [
    ("max_attempts", 1, 2, 3),
    ("backoff_initial", "1s", "2s", "3s"),
    ("backoff_max", "1m", "2m", "3m"),
    ("on_unconfirmed", OnUnconfirmed.HOLD, OnUnconfirmed.SKIP, OnUnconfirmed.RESEND),
]


@pytest.mark.parametrize(("policy", "own", "collector_s", "fallback"), POLICIES)
def test_a_policy_is_the_schedule_s_else_the_collector_s_else_the_fallback(
    policy: str, own: Any, collector_s: Any, fallback: Any
) -> None:
    schedule, collector = make_schedule(**{policy: own}), make_collector(**{policy: collector_s})
    last = {policy: fallback}

    assert getattr(new_run(schedule, collector, **last), policy) == own
    assert getattr(new_run(None, collector, **last), policy) == collector_s
    assert getattr(new_run(schedule, None, **last), policy) == own
    assert getattr(new_run(None, None, **last), policy) == fallback


STRICT, RELAXED = QueueOrder.STRICT, QueueOrder.RELAXED
IN_NEWS = "queue:main/c_shop/news"
ORDER_KEYS: dict[str, tuple[dict[str, Any], QueueOrder, str | None]] = {
    "no queue": ({}, STRICT, "schedule:hourly"),
    "no queue, and no order to speak of": ({}, RELAXED, "schedule:hourly"),
    "a strict queue": ({"queue": "news"}, STRICT, IN_NEWS),
    "a relaxed queue": ({"queue": "news"}, RELAXED, None),
    "in nobody's place but its own": ({"confirm_cancel": True}, STRICT, None),
    "beside its own earlier runs": ({"overlap": Overlap.ALLOW}, STRICT, None),
    "a strict queue, overlap or not": (
        {"queue": "news", "overlap": Overlap.ALLOW},
        STRICT,
        IN_NEWS,
    ),
}


@pytest.mark.parametrize(
    ("columns", "order", "order_key"), ORDER_KEYS.values(), ids=list(ORDER_KEYS)
)
def test_order_is_kept_in_a_lane(
    columns: dict[str, Any], order: QueueOrder, order_key: str | None
) -> None:
    assert new_run(make_schedule(**columns), order=order).order_key == order_key


def test_queues_of_one_name_are_apart_by_account_and_collector() -> None:
    order_keys = {
        queue_order_key(account, collector, "news", STRICT)
        for account in ("main", "other")
        for collector in ("c_shop", "c_blog")
    }

    assert len(order_keys) == 4


def test_a_schedule_cannot_be_named_into_a_queue_s_lane() -> None:
    run = new_run(make_schedule(name="main/c_shop/news"))

    assert run.order_key != queue_order_key("main", "c_shop", "news", STRICT)


def test_a_run_keeps_what_no_later_edit_may_change() -> None:
    schedule = make_schedule(queue="news", priority=7, trigger_name="{schedule}", labels=",a,")
    collector = make_collector(account="other", deadline="2h")

    run = new_run(schedule, collector)

    assert run == make_new_run(
        account="other",
        query="collector=c_shop&name=hourly&queue=news&deadline=2h",
        queue="news",
        order_key="queue:other/c_shop/news",
        priority=7,
        labels=",a,",
        created_at=NOW,
    )


def test_a_secret_in_a_run_s_query_stays_a_reference() -> None:
    collector = make_collector(deliver='{"type":"s3","secret":"${secret:S3}"}')

    assert "%24%7Bsecret%3AS3%7D" in new_run(None, collector).query


def test_a_refused_run_is_written_for_the_record() -> None:
    run = new_run().refused(Reason.QUEUE_FULL, "3 wait", NOW)

    assert (run.state, run.reason, run.detail) == (RunState.SKIPPED, Reason.QUEUE_FULL, "3 wait")
    assert run.ended_at == NOW


def request(*params: tuple[str, str], order: QueueOrder = STRICT) -> NewRun:
    return requested_run(
        make_collector(max_attempts=2),
        (("collector", "c_shop"), *params),
        make_body(),
        batch=None,
        order=order,
        priority=4,
        defaults=make_fallbacks(),
        now=NOW,
    )


def test_a_run_asked_for_by_hand_is_sent_at_once_and_however_late() -> None:
    assert request(("queue_next", "1")) == make_new_run(
        schedule=None,
        due_at=NOW,
        batch=None,
        order_key=None,
        priority=4,
        reason=Reason.REQUESTED,
        not_before=NOW,
        send_before=None,
        max_attempts=2,
        created_at=NOW,
    )


@pytest.mark.parametrize(("order", "order_key"), [(STRICT, IN_NEWS), (RELAXED, None)])
def test_a_run_asked_for_by_hand_takes_its_turn_in_a_queue(
    order: QueueOrder, order_key: str | None
) -> None:
    run = request(("queue", "news"), order=order)

    assert (run.queue, run.order_key, run.confirm_cancel) == ("news", order_key, False)


def test_a_run_asked_for_by_hand_may_take_the_place_of_what_runs() -> None:
    run = request(("confirm_cancel", "1"))

    assert (run.queue, run.order_key, run.confirm_cancel) == (None, None, True)


ENDED = make_run(
    id=41,
    state=RunState.FAILED,
    reason=Reason.ATTEMPTS_EXHAUSTED,
    detail="5 attempts",
    queue="news",
    order_key=IN_NEWS,
    priority=3,
    labels=",a,",
    attempt_count=5,
    fence=5,
    chunk=2,
    chunks=3,
    max_attempts=9,
    on_unconfirmed=OnUnconfirmed.HOLD,
    ended_at=NINE + HOUR,
)
LATER = NINE + timedelta(days=3)


def test_a_retry_sends_the_same_at_once_and_however_late() -> None:
    retry = retried_run(ENDED, now=LATER)

    assert (retry.state, retry.reason) == (RunState.QUEUED, Reason.REQUESTED)
    assert (retry.not_before, retry.send_before) == (LATER, None)
    assert (retry.created_at, retry.ended_at) == (LATER, None)
    assert (retry.retry_of, retry.detail) == (41, "retry of run 41")


ANEW = {
    "state",
    "reason",
    "detail",
    "not_before",
    "send_before",
    "created_at",
    "ended_at",
    "retry_of",
    "waits_for",
    "replaces",
}


@pytest.mark.parametrize("column", [one.name for one in fields(NewRun) if one.name not in ANEW])
def test_a_retry_keeps_everything_else_of_its_run(column: str) -> None:
    assert getattr(retried_run(ENDED, now=LATER), column) == getattr(ENDED, column)


def test_a_new_run_has_no_column_that_a_run_lacks() -> None:
    assert {one.name for one in fields(NewRun)} <= {one.name for one in fields(Run)}
