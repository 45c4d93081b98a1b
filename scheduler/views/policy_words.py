"""A schedule's policies in sentences: what becomes of what is late, overlaps, or fails."""

from collections.abc import Iterator
from typing import Final

from scheduler.domain.records import CatchUp, OnOverrun, OnUnconfirmed, Overlap
from scheduler.views.schedules import ScheduleView

_OVERLAP: Final = {
    Overlap.QUEUE: "While an earlier run has not ended, the next is sent in order, behind it.",
    Overlap.ALLOW: "It is sent whether an earlier run has ended or not.",
    Overlap.SKIP: "While an earlier run has not ended, what comes due is skipped.",
    Overlap.QUEUE_ONE: "While an earlier run has not ended, one waits for it; others are skipped.",
    Overlap.REPLACE: "An earlier run that has not ended is cancelled, then the next is sent.",
}
_CATCH_UP: Final = {
    CatchUp.LATEST: "Of several that were missed, the latest is sent.",
    CatchUp.ALL: "All that were missed are sent, one after the other.",
    CatchUp.NONE: "What was missed is not sent.",
}
_UNCONFIRMED: Final = {
    OnUnconfirmed.RESEND: "A trigger whose answer was lost is looked for, then sent again.",
    OnUnconfirmed.HOLD: "A trigger whose answer was lost is looked for, then left to a person.",
    OnUnconfirmed.SKIP: "A trigger whose answer was lost is looked for, then given up.",
}


def policy_words(schedule: ScheduleView) -> tuple[str, ...]:
    """Return a schedule's policies, a sentence each; what only its collector says is left out."""
    return (
        _behaviour(schedule),
        f"A run may start up to {schedule.misfire_grace} late; after that it is missed.",
        _OVERLAP[schedule.overlap],
        _caught_up(schedule),
        *_in_vain(schedule),
        *_ending(schedule),
        *_failing(schedule),
        *_results(schedule),
    )


def _behaviour(schedule: ScheduleView) -> str:
    if schedule.confirm_cancel:
        return "The collector's running job is cancelled, and this one runs instead."
    if schedule.queue is not None:
        return f"It goes behind what is in the queue {schedule.queue}."
    return "It goes behind the collector's other jobs."


def _caught_up(schedule: ScheduleView) -> str:
    told = _CATCH_UP[schedule.catch_up].removesuffix(".")
    if schedule.catch_up is CatchUp.NONE:
        return f"{told}."
    limits = (
        ("at most {} of them", schedule.catch_up_max),
        ("no later than {} after it was due", schedule.catch_up_window),
        ("{} apart", schedule.catch_up_pace),
    )
    more = "".join(f", {words.format(value)}" for words, value in limits if value is not None)
    return f"{told}{more}."


def _ending(schedule: ScheduleView) -> Iterator[str]:
    if schedule.finish_before is not None:
        yield f"What is left until {schedule.finish_before} when it is sent is its deadline."


def _in_vain(schedule: ScheduleView) -> Iterator[str]:
    if schedule.only_if_changed:
        yield "It is skipped while its inputs are those of its last good run."
    if schedule.batch_max_age is not None:
        yield f"It is skipped where the file of its batch is older than {schedule.batch_max_age}."


def _failing(schedule: ScheduleView) -> Iterator[str]:
    if schedule.max_attempts is not None:
        yield f"A trigger that is not accepted is tried {schedule.max_attempts} times in all."
    if schedule.on_unconfirmed is not None:
        yield _UNCONFIRMED[schedule.on_unconfirmed]
    if schedule.retry_failed_inputs is not None:
        yield "Inputs that failed are sent once more, as a run of their own."
    if schedule.park_after is not None:
        yield f"An input that failed in {schedule.park_after} runs in a row is left out, parked."
    if schedule.pause_after_failures is not None:
        yield f"After {schedule.pause_after_failures} failed runs in a row it is paused."


def _results(schedule: ScheduleView) -> Iterator[str]:
    least = 1 if schedule.min_rows is None else schedule.min_rows
    if least:
        rows = "no row" if least == 1 else f"fewer than {least:,} rows"
        yield f"A run that brings {rows} has failed."
    if schedule.min_rows_per_input is not None:
        yield f"So has one that brings fewer than {schedule.min_rows_per_input:g} rows an input."
    if schedule.min_success_rate is not None:
        yield f"So has one of whose pages less than {schedule.min_success_rate:.4g} came."
    if schedule.max_fall_percent is not None:
        yield f"One that brings {schedule.max_fall_percent} % fewer rows than usual is partial."
    if schedule.on_overrun is OnOverrun.CANCEL:
        yield "A collection that takes much longer than it may, or than is usual, is cancelled."
    if schedule.max_runs is not None:
        yield f"After {schedule.max_runs:,} runs it is not due any more."
