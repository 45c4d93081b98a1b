"""The groups of keys that only a schedule has: its timetable, its behaviour, its policies."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from scheduler.config.table import TomlTable
from scheduler.config.values import (
    Count,
    CronText,
    DurationText,
    Labels,
    MomentText,
    Name,
    Percent,
    QueueName,
    Ratio,
    RetryFailedInputs,
    Share,
    StartText,
    TimeOfDay,
    WholeCount,
    WholeNumber,
    ZoneName,
    judge,
)
from scheduler.domain.records import AfterWhen, CatchUp, OnOverrun, Overlap
from scheduler.domain.request import Behaviour, choose_behaviour
from scheduler.domain.timetable import DstFold, DstGap


class TimetableKeys(TomlTable):
    """When a schedule is due; judged as a whole by `build_timetable`."""

    cron: CronText | None = None
    """Crontab text as Debian cron reads it; several expressions as an array."""
    every: DurationText | None = None
    """A duration, on an even beat in UTC."""
    calendar_interval: str | None = None
    """Days, weeks, months or years, such as `month on last at 02:00`."""
    at: MomentText | None = None
    """One moment, such as `2026-12-01T02:00:00`; without an offset: in the schedule's zone."""
    manual: bool = False
    """Whether it has no times of its own and is only run by hand."""
    after: Name | None = None
    """Another schedule: it is due when a collection of that one has ended."""
    after_when: Annotated[AfterWhen, Field(strict=False)] = AfterWhen.ENDED
    """Which ends count for `after`: `ended`, or only `succeeded`."""
    anchor: StartText | None = None
    """A moment that `every` or `calendar_interval` counts from."""
    timezone: ZoneName | None = None
    """An IANA name; left out: that of [defaults]."""
    dst_gap: Annotated[DstGap, Field(strict=False)] = DstGap.SHIFT
    """A time that the clock jumps over in spring: `shift` it, or `skip` it."""
    dst_fold: Annotated[DstFold, Field(strict=False)] = DstFold.FIRST
    """A time that comes twice in autumn: `first` pass only, or `both`."""
    valid_from: StartText | None = None
    """The first moment at which it may fire."""
    valid_until: MomentText | None = None
    """The last moment at which it may fire."""
    jitter: DurationText | None = None
    """Each occurrence starts later by up to this much, each by its own amount."""
    spread: DurationText | None = None
    """All occurrences start later by one amount up to this, so that schedules start apart."""
    exclude: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Names of [calendars] at whose times it does not fire."""
    max_runs: Count | None = None
    """After so many runs it is not due any more. No limit if left out."""

    @model_validator(mode="after")
    def _follows_something(self) -> Self:
        if self.after is None and self.after_when is not AfterWhen.ENDED:
            raise ValueError("after_when goes with after")
        return self


class BehaviourKeys(TomlTable):
    """What the upstream does with jobs that are already there: one of these."""

    queue: QueueName | None = None
    """Behind what is in this named queue."""
    queue_next: bool | None = None
    """Behind what is in the collector's crawl queue; the default."""
    confirm_cancel: bool = False
    """Cancel the running job and run this one instead."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        asked = {"queue_next": bool(self.queue_next), "confirm_cancel": self.confirm_cancel}
        judge(choose_behaviour, queue=self.queue, **asked)
        if self.queue_next is False and self.behaviour is Behaviour.QUEUE_NEXT:
            raise ValueError("queue_next = false needs queue or confirm_cancel in its place")
        return self

    @property
    def behaviour(self) -> Behaviour:
        """The one behaviour that these keys choose."""
        return choose_behaviour(queue=self.queue, confirm_cancel=self.confirm_cancel)


class PolicyKeys(TomlTable):
    """What becomes of occurrences that are late, meet a run of their own schedule, or fail."""

    priority: WholeNumber = 0
    """Higher goes first within its queue."""
    overlap: Annotated[Overlap, Field(strict=False)] = Overlap.QUEUE
    """While an earlier run has not ended: `queue`, `allow`, `skip`, `queue_one`, `replace`."""
    misfire_grace: DurationText | None = None
    """How late a run may still start; left out: that of [defaults]."""
    catch_up: Annotated[CatchUp, Field(strict=False)] | None = None
    """Which of several owed occurrences become runs; left out: that of [defaults]."""
    catch_up_window: DurationText | None = None
    """How late an owed occurrence may be to be caught up with; left out: misfire_grace."""
    catch_up_max: Count | None = None
    """How many owed occurrences become runs at most: the newest. No limit if left out."""
    catch_up_pace: DurationText | None = None
    """The pause between two that are caught up with; left out: none."""
    pause_after_failures: Count | None = None
    """After so many failed runs in a row it is paused; left out: never."""
    only_if_changed: bool = False
    """Whether it is skipped while its inputs are those of its last good run."""
    batch_max_age: DurationText | None = None
    """How old its batch's file may be; older, it is skipped. Left out: any."""
    retry_failed_inputs: RetryFailedInputs | None = None
    """Inputs that failed are sent once more, as a run of their own; left out: never."""
    park_after: Count | None = None
    """An input that failed in so many runs in a row is left out of later ones; else never."""
    min_rows: WholeCount | None = None
    """A run that brings fewer rows has failed; left out: 1, and 0 allows none."""
    min_rows_per_input: Ratio | None = None
    """A run that brings fewer rows for each of its inputs has failed; left out: any number."""
    min_success_rate: Share | None = None
    """A run of whose pages a smaller share came has failed, 0.95 for 95 %; left out: any share."""
    max_fall_percent: Percent | None = None
    """A run that brings fewer rows than usual by more than this is partial; left out: any."""
    finish_before: TimeOfDay | None = None
    """A time of day by which its collection is cut off: sent as a deadline. Left out: never."""
    on_overrun: Annotated[OnOverrun, Field(strict=False)] = OnOverrun.TELL
    """A collection that outlives its deadline, or what is usual, by far: `tell`, or `cancel` it."""
    fresh_within: DurationText | None = None
    """How old its last good result may be; older, it is told as stale. Left out: any."""
    ready_by: TimeOfDay | None = None
    """A time of day by which what was due before it is to be saved, or else to have succeeded."""
    on_end: Name | None = None
    """A name of [channels]: it hears of each run that has ended, skipped ones aside."""
    labels: Labels = ()
    """Words by which schedules are frozen and found together."""
