"""A run's next state: after every answer, and after every look for a lost one."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.brake import LONGEST_RETRY_AFTER
from scheduler.domain.durations import parse_duration
from scheduler.domain.records import (
    ENDED_STATES,
    IN_LINE_STATES,
    OPEN_OUTCOMES,
    OPEN_STATES,
    UNRESOLVED_STATES,
    OnUnconfirmed,
    Outcome,
    Reason,
    Run,
    RunState,
)
from scheduler.domain.reply import (
    Accepted,
    Deferral,
    Deferred,
    Lost,
    Refusal,
    Rejected,
    TriggerReply,
)
from scheduler.domain.transition import (
    JOB_LIMIT_PAUSE,
    Absent,
    Backoff,
    Finding,
    Found,
    Several,
    Transition,
    Unreadable,
    after_lookup,
    after_reply,
)
from tests.make import NINE, make_lost_run, minutes, seconds

FIRST_LOOKUP = seconds(5)
LOOKUPS: Final = (seconds(5), seconds(30), minutes(2), minutes(10))
BACKOFF: Final = Backoff(first=seconds(4), most=minutes(1))


def queued(reason: Reason, pause: timedelta) -> Transition:
    return Transition(
        state=RunState.QUEUED,
        reason=reason,
        outcome=Outcome.DEFERRED,
        detail="words",
        not_before=NINE + pause,
        counts=False,
    )


def failed(reason: Reason) -> Transition:
    return Transition(
        state=RunState.FAILED, reason=reason, outcome=Outcome.REJECTED, detail="words"
    )


REPLIES: dict[str, tuple[TriggerReply, Transition]] = {
    "accepted": (
        Accepted(collection_id="j_1", start_eta=NINE + minutes(3)),
        Transition(
            state=RunState.COLLECTING,
            reason=Reason.ACCEPTED,
            outcome=Outcome.ACCEPTED,
            collection_id="j_1",
            start_eta=NINE + minutes(3),
        ),
    ),
    "accepted without start_eta": (
        Accepted(collection_id="j_1", start_eta=None),
        Transition(
            state=RunState.COLLECTING,
            reason=Reason.ACCEPTED,
            outcome=Outcome.ACCEPTED,
            collection_id="j_1",
        ),
    ),
    "refused": (
        Rejected(refusal=Refusal.INVALID, detail="words", status=422),
        failed(Reason.REFUSED),
    ),
    "credentials": (
        Rejected(refusal=Refusal.CREDENTIALS, detail="words", status=401),
        failed(Reason.BAD_CREDENTIALS),
    ),
    "not sent": (
        Deferred(deferral=Deferral.NOT_SENT, detail="words"),
        queued(Reason.NOT_SENT, timedelta()),
    ),
    "throttled": (
        Deferred(deferral=Deferral.THROTTLED, detail="words", status=429),
        queued(Reason.THROTTLED, timedelta()),
    ),
    "throttled for a while": (
        Deferred(deferral=Deferral.THROTTLED, detail="words", retry_after=seconds(7), status=429),
        queued(Reason.THROTTLED, seconds(7)),
    ),
    "throttled for longer than is believed": (
        Deferred(
            deferral=Deferral.THROTTLED, detail="words", retry_after=timedelta.max, status=429
        ),
        queued(Reason.THROTTLED, LONGEST_RETRY_AFTER),
    ),
    "throttled until a moment that has passed": (
        Deferred(deferral=Deferral.THROTTLED, detail="words", retry_after=seconds(-7), status=429),
        queued(Reason.THROTTLED, timedelta()),
    ),
    "collector full": (
        Deferred(deferral=Deferral.JOB_LIMIT, detail="words", status=400),
        queued(Reason.JOB_LIMIT, JOB_LIMIT_PAUSE),
    ),
    "collector full, ask sooner": (
        Deferred(deferral=Deferral.JOB_LIMIT, detail="words", retry_after=seconds(1), status=429),
        queued(Reason.JOB_LIMIT, JOB_LIMIT_PAUSE),
    ),
    "collector full, ask later": (
        Deferred(deferral=Deferral.JOB_LIMIT, detail="words", retry_after=minutes(2), status=429),
        queued(Reason.JOB_LIMIT, minutes(2)),
    ),
    "lost": (
        Lost(detail="words", status=502),
        Transition(
            state=RunState.UNCONFIRMED,
            reason=Reason.ANSWER_LOST,
            outcome=Outcome.LOST,
            detail="words",
            next_lookup_at=NINE + FIRST_LOOKUP,
        ),
    ),
}


@pytest.mark.parametrize(("reply", "expected"), REPLIES.values(), ids=list(REPLIES))
def test_each_answer_leads_to_one_state(reply: TriggerReply, expected: Transition) -> None:
    assert after_reply(reply, now=NINE, first_lookup=FIRST_LOOKUP) == expected


@pytest.mark.parametrize("reply", [reply for reply, _ in REPLIES.values()], ids=list(REPLIES))
def test_only_what_provably_created_nothing_may_be_sent_again(reply: TriggerReply) -> None:
    change = after_reply(reply, now=NINE, first_lookup=FIRST_LOOKUP)

    assert (change.state is RunState.QUEUED) == isinstance(reply, Deferred)
    assert (change.outcome in OPEN_OUTCOMES) == isinstance(reply, Lost)


def lookup(finding: Finding, run: Run, *, chance: float = 1.0) -> Transition:
    return after_lookup(
        finding,
        run,
        now=NINE,
        lookup_after=LOOKUPS,
        backoff=BACKOFF,
        chance=chance,
    )


FINDINGS: dict[str, Finding] = {
    "found": Found("j_9", NINE - minutes(1)),
    "absent": Absent(),
    "several": Several(("j_1", "j_2")),
    "unreadable": Unreadable("answered 500"),
}
OTHER_FINDINGS = {name: one for name, one in FINDINGS.items() if name != "found"}
LAST = len(LOOKUPS) - 1


@pytest.mark.parametrize("policy", list(OnUnconfirmed))
@pytest.mark.parametrize("lookups", range(len(LOOKUPS) + 2))
@pytest.mark.parametrize("attempts", [1, 5, 9])
def test_what_is_found_is_adopted_at_any_look_under_any_policy(
    policy: OnUnconfirmed, lookups: int, attempts: int
) -> None:
    run = make_lost_run(on_unconfirmed=policy, lookups=lookups, attempt_count=attempts)

    assert lookup(FINDINGS["found"], run) == Transition(
        state=RunState.COLLECTING,
        reason=Reason.ADOPTED,
        outcome=Outcome.ADOPTED,
        collection_id="j_9",
        triggered_at=NINE - minutes(1),
    )


@pytest.mark.parametrize("policy", list(OnUnconfirmed))
@pytest.mark.parametrize(("lookups", "pause"), [(0, 25), (1, 90), (2, 480)])
@pytest.mark.parametrize("finding", OTHER_FINDINGS.values(), ids=list(OTHER_FINDINGS))
def test_before_the_last_look_anything_else_leads_to_the_next_one(
    finding: Finding, lookups: int, pause: int, policy: OnUnconfirmed
) -> None:
    run = make_lost_run(on_unconfirmed=policy, lookups=lookups, attempt_count=5)

    assert lookup(finding, run) == Transition(
        state=RunState.UNCONFIRMED,
        reason=run.reason,
        outcome=Outcome.LOST,
        detail=run.detail,
        next_lookup_at=NINE + seconds(pause),
    )


RESEND, HOLD, SKIP = OnUnconfirmed.RESEND, OnUnconfirmed.HOLD, OnUnconfirmed.SKIP
AGAIN = (RunState.QUEUED, Reason.ABSENT, Outcome.ABSENT)
EXHAUSTED = (RunState.FAILED, Reason.ATTEMPTS_EXHAUSTED, Outcome.ABSENT)
ABANDONED = (RunState.FAILED, Reason.ABANDONED, Outcome.ABSENT)
HELD = (RunState.NEEDS_ATTENTION, Reason.HELD, Outcome.LOST)
UNCLEAR = (RunState.NEEDS_ATTENTION, Reason.SEVERAL_CANDIDATES, Outcome.LOST)
UNREAD = (RunState.NEEDS_ATTENTION, Reason.LOOKUP_FAILED, Outcome.LOST)
LAST_LOOKS: list[tuple[str, OnUnconfirmed, int, tuple[RunState, Reason, Outcome]]] = [
    ("absent", RESEND, 1, AGAIN),
    ("absent", RESEND, 4, AGAIN),
    ("absent", RESEND, 5, EXHAUSTED),
    ("absent", RESEND, 6, EXHAUSTED),
    ("absent", HOLD, 1, HELD),
    ("absent", HOLD, 5, HELD),
    ("absent", SKIP, 1, ABANDONED),
    ("absent", SKIP, 5, ABANDONED),
    *(("several", policy, 5, UNCLEAR) for policy in OnUnconfirmed),
    *(("unreadable", policy, 5, UNREAD) for policy in OnUnconfirmed),
]


@pytest.mark.parametrize("lookups", [LAST, LAST + 1])
@pytest.mark.parametrize(("finding", "policy", "attempts", "expected"), LAST_LOOKS)
def test_the_last_look_decides_by_policy_and_attempts(
    finding: str,
    policy: OnUnconfirmed,
    attempts: int,
    expected: tuple[RunState, Reason, Outcome],
    lookups: int,
) -> None:
    """And so does one too many: somebody may have shortened the list of lookups meanwhile."""
    run = make_lost_run(on_unconfirmed=policy, attempt_count=attempts, lookups=lookups)

    change = lookup(FINDINGS[finding], run)

    assert (change.state, change.reason, change.outcome) == expected
    assert change.counts
    assert change.next_lookup_at is None
    assert (change.not_before is None) == (change.state is not RunState.QUEUED)


def test_a_run_that_is_resent_waits_longer_with_each_attempt() -> None:
    runs = [
        make_lost_run(attempt_count=attempts, lookups=LAST, max_attempts=9)
        for attempts in (1, 2, 3)
    ]

    waits = [lookup(Absent(), run).not_before for run in runs]

    assert waits == [NINE + seconds(4), NINE + seconds(8), NINE + seconds(16)]


def test_several_candidates_are_named_for_the_person_who_decides() -> None:
    change = lookup(Several(("j_1", "j_2")), make_lost_run(lookups=LAST))

    assert change.detail == "could be any of j_1, j_2"


def test_exhausted_attempts_tell_how_many_and_what_came_last() -> None:
    change = lookup(Absent(), make_lost_run(lookups=LAST, attempt_count=5))

    assert change.detail == "5 attempts, none accepted; last: no answer within 60s"


def test_looks_that_do_not_grow_are_still_apart() -> None:
    change = after_lookup(
        Absent(),
        make_lost_run(lookups=0),
        now=NINE,
        lookup_after=(minutes(2), minutes(1)),
        backoff=BACKOFF,
        chance=1.0,
    )

    assert change.next_lookup_at == NINE + seconds(1)


@given(
    st.sampled_from(list(FINDINGS.values())),
    st.integers(0, 6),
    st.integers(1, 7),
    st.sampled_from(OnUnconfirmed),
    st.floats(0, 1, exclude_max=True),
)
def test_a_lost_run_is_sent_again_only_after_a_last_look_that_found_nothing(
    finding: Finding, lookups: int, attempts: int, policy: OnUnconfirmed, chance: float
) -> None:
    run = make_lost_run(lookups=lookups, attempt_count=attempts, on_unconfirmed=policy)

    change = lookup(finding, run, chance=chance)

    may_be_sent = (
        finding == Absent()
        and lookups >= LAST
        and policy is OnUnconfirmed.RESEND
        and attempts < run.max_attempts
    )
    assert (change.state is RunState.QUEUED) == may_be_sent


longest_pauses = st.sampled_from(["1s", "1h", "24855d"]).map(parse_duration)


@given(longest_pauses, longest_pauses, st.integers(1, 1000), st.floats(0, 1))
def test_a_pause_is_never_longer_than_the_longest_and_never_negative(
    first: timedelta, most: timedelta, failures: int, chance: float
) -> None:
    pause = Backoff(first=first, most=most).pause(failures, chance=chance)

    assert timedelta() <= pause <= most


@given(st.integers(1, 30), st.floats(0, 1))
def test_full_jitter_spreads_a_pause_over_its_whole_length(failures: int, chance: float) -> None:
    backoff = Backoff(first=seconds(1), most=timedelta(days=9999))

    pause = backoff.pause(failures, chance=chance)

    assert pause == seconds(2.0 ** (failures - 1)) * chance
    assert backoff.pause(failures, chance=0.0) == timedelta()


def test_a_run_is_either_open_or_ended() -> None:
    assert {*OPEN_STATES} | {*ENDED_STATES} == set(RunState)
    assert not {*OPEN_STATES} & {*ENDED_STATES}
    assert {*UNRESOLVED_STATES} < {*IN_LINE_STATES} < {*OPEN_STATES}


def test_a_lost_run_keeps_the_reason_it_was_lost_for_while_it_is_looked_for() -> None:
    run = replace(make_lost_run(), reason=Reason.DAEMON_DIED, detail="its daemon stopped")

    change = lookup(Absent(), run)

    assert (change.reason, change.detail) == (Reason.DAEMON_DIED, "its daemon stopped")
