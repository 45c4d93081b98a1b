"""Records that are valid by default, with overrides that matter. Nothing here does any I/O."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from scheduler.domain.answers import CollectionLog, ListedJob
from scheduler.domain.brake import Brake, Limits
from scheduler.domain.definition import RunDefaults
from scheduler.domain.records import (
    Account,
    AfterWhen,
    Attempt,
    Batch,
    Calendar,
    CatchUp,
    Collection,
    Collector,
    NewRun,
    OnOverrun,
    OnUnconfirmed,
    Outcome,
    Overlap,
    Reason,
    Run,
    RunState,
    Schedule,
    StoredBody,
)

NINE: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""A Monday morning: the present of every record made here."""


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def make_account(**overrides: Any) -> Account:
    account = Account(
        name="main",
        base_url="https://dca.invalid",
        token="env:DCA_API_TOKEN",
        max_in_flight=32,
        requests_per_second=20.0,
    )
    return replace(account, **overrides)


def make_collector(**overrides: Any) -> Collector:
    collector = Collector(
        name="shop",
        account="main",
        collector_id="c_shop",
        deadline=None,
        no_downloads=False,
        version=None,
        trigger_name=None,
        notify=None,
        deliver=None,
        max_running=100,
        max_unresolved=1,
        max_attempts=None,
        backoff_initial=None,
        backoff_max=None,
        on_unconfirmed=None,
    )
    return replace(collector, **overrides)


def make_batch(**overrides: Any) -> Batch:
    batch = Batch(
        name="bestsellers",
        file=None,
        inputs='[{"url": "https://example.org/1"}]',
        send_as="json",
        dedupe=False,
        max_inputs_per_trigger=None,
        required=None,
        max_change_percent=None,
    )
    return replace(batch, **overrides)


def make_calendar(**overrides: Any) -> Calendar:
    return replace(Calendar(name="holidays", rules="2026-12-25"), **overrides)


def make_schedule(**overrides: Any) -> Schedule:
    """Return a schedule for every hour, made a day before NINE, that was never fired."""
    schedule = Schedule(
        name="hourly",
        collector="shop",
        batch="bestsellers",
        cron="0 * * * *",
        every=None,
        calendar_interval=None,
        at=None,
        manual=False,
        after=None,
        after_when=AfterWhen.ENDED,
        anchor=None,
        timezone="UTC",
        dst_gap="shift",
        dst_fold="first",
        valid_from=None,
        valid_until=None,
        jitter=None,
        spread=None,
        exclude=None,
        max_runs=None,
        overlap=Overlap.QUEUE,
        queue=None,
        confirm_cancel=False,
        deadline=None,
        no_downloads=None,
        version=None,
        trigger_name=None,
        notify=None,
        deliver=None,
        priority=0,
        misfire_grace="1h",
        catch_up=CatchUp.LATEST,
        catch_up_window=None,
        catch_up_max=None,
        catch_up_pace=None,
        pause_after_failures=None,
        only_if_changed=False,
        batch_max_age=None,
        retry_failed_inputs=None,
        park_after=None,
        min_rows=None,
        min_rows_per_input=None,
        min_success_rate=None,
        max_fall_percent=None,
        finish_before=None,
        on_overrun=OnOverrun.TELL,
        fresh_within=None,
        ready_by=None,
        on_end=None,
        labels=None,
        max_attempts=None,
        backoff_initial=None,
        backoff_max=None,
        on_unconfirmed=None,
        enabled=True,
        paused_at=None,
        paused_by=None,
        paused_reason=None,
        paused_until=None,
        created_at=NINE - timedelta(days=1),
        edited_at=None,
        planned_at=None,
        fired_until=None,
        next_fire_at=None,
        error=None,
    )
    return replace(schedule, **overrides)


def make_body(**overrides: Any) -> StoredBody:
    body = StoredBody(
        fingerprint="f" * 64,
        send_as="json",
        row_count=1,
        byte_count=35,
        text='[{"url": "https://example.org/1"}]',
    )
    return replace(body, **overrides)


def make_new_run(**overrides: Any) -> NewRun:
    """Return a scheduled run that is due at NINE and waits to be sent."""
    run = NewRun(
        schedule="hourly",
        due_at=NINE,
        account="main",
        collector="shop",
        collector_id="c_shop",
        batch="bestsellers",
        body="f" * 64,
        query="collector=c_shop&queue_next=1",
        queue=None,
        confirm_cancel=False,
        order_key="schedule:hourly",
        labels=None,
        priority=0,
        state=RunState.QUEUED,
        reason=Reason.DUE,
        detail=None,
        not_before=NINE,
        send_before=NINE + timedelta(hours=1),
        max_attempts=5,
        backoff_initial="5s",
        backoff_max="15m",
        on_unconfirmed=OnUnconfirmed.RESEND,
        created_at=NINE,
    )
    return replace(run, **overrides)


def make_run(**overrides: Any) -> Run:
    """Return a scheduled run that is due at NINE and waits to be sent."""
    run = Run(
        id=1,
        schedule="hourly",
        due_at=NINE,
        account="main",
        collector="shop",
        collector_id="c_shop",
        batch="bestsellers",
        body="f" * 64,
        query="collector=c_shop&queue_next=1",
        queue=None,
        confirm_cancel=False,
        order_key="schedule:hourly",
        labels=None,
        priority=0,
        state=RunState.QUEUED,
        reason=Reason.DUE,
        detail=None,
        not_before=NINE,
        send_before=NINE + timedelta(hours=1),
        attempt_count=0,
        max_attempts=5,
        backoff_initial="5s",
        backoff_max="15m",
        on_unconfirmed=OnUnconfirmed.RESEND,
        retry_of=None,
        chunk=1,
        chunks=1,
        waits_for=None,
        replaces=False,
        fence=0,
        lease_owner=None,
        lease_until=None,
        next_lookup_at=None,
        lookups=0,
        triggered_at=None,
        overdue_at=None,
        created_by=None,
        request_key=None,
        due_until=None,
        occurrences=1,
        collection_id=None,
        start_eta=None,
        created_at=NINE,
        ended_at=None,
    )
    return replace(run, **overrides)


def make_lost_run(**overrides: Any) -> Run:
    """Return a run whose first attempt's answer was lost, and that nobody has looked for yet."""
    lost = {
        "state": RunState.UNCONFIRMED,
        "reason": Reason.ANSWER_LOST,
        "detail": "no answer within 60s",
        "attempt_count": 1,
        "fence": 1,
        "next_lookup_at": NINE + seconds(5),
    }
    return make_run(**(lost | overrides))


def make_attempt(**overrides: Any) -> Attempt:
    """Return the first attempt of the first run, on the wire since NINE."""
    attempt = Attempt(
        run_id=1,
        number=1,
        daemon="d1",
        request="POST /dca/trigger?collector=c_shop&queue_next=1",
        outcome=Outcome.SENDING,
        claimed_at=NINE,
        upstream_at=None,
        resolved_at=None,
        http_status=None,
        detail=None,
        collection_id=None,
    )
    return replace(attempt, **overrides)


def make_collection(**overrides: Any) -> Collection:
    """Return the collection of the first run, accepted at NINE and not looked at yet."""
    collection = Collection(
        id="j_1",
        run_id=1,
        account="main",
        collector_id="c_shop",
        start_eta=None,
        status=None,
        inputs=None,
        lines=None,
        fails=None,
        pages=None,
        success_rate=None,
        page_loads=None,
        failed_pages=None,
        expired=False,
        started_at=None,
        finished_at=None,
        accepted_at=NINE,
        next_poll_at=NINE + minutes(1),
        polled_at=None,
        polls=0,
        replaced_by=None,
        cancel_requested_at=None,
        cancel_note=None,
    )
    return replace(collection, **overrides)


def make_log(**overrides: Any) -> CollectionLog:
    """Return the log of a collection that did all of its ten inputs in a minute."""
    log = CollectionLog(
        status="done",
        inputs=10,
        lines=10,
        fails=0,
        pages=10,
        pages_left=0,
        success_rate=1.0,
        created_at=NINE,
        started_at=NINE,
        finished_at=NINE + minutes(1),
    )
    return replace(log, **overrides)


def make_job(**overrides: Any) -> ListedJob:
    """Return a row of a collector's jobs with one input, queued at NINE."""
    job = ListedJob(
        id="j_1",
        status="running",
        queued_at=NINE,
        started_at=None,
        finished_at=None,
        inputs=1,
        name=None,
    )
    return replace(job, **overrides)


def make_fallbacks(**overrides: Any) -> RunDefaults:
    defaults = RunDefaults(
        max_attempts=5,
        backoff_initial="5s",
        backoff_max="15m",
        on_unconfirmed=OnUnconfirmed.RESEND,
    )
    return replace(defaults, **overrides)


def make_brake(**overrides: Any) -> Brake:
    """Return a brake that lets everything pass, with its tokens as of NINE."""
    brake = Brake(
        tokens=20.0,
        refilled_at=NINE,
        open_until=None,
        trips=0,
        consecutive_losses=0,
        slow_start=None,
        paused_at=None,
        paused_reason=None,
        paused_token=None,
        paused_by=None,
        paused_until=None,
    )
    return replace(brake, **overrides)


def make_limits(**overrides: Any) -> Limits:
    return replace(Limits(max_in_flight=32, requests_per_second=20.0), **overrides)
