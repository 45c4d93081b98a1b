"""What the row of a schedule means: its timetable, its policies, the trigger that it asks for."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final

from scheduler.domain.batch import check_canary
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.failed_inputs import read_retry_policy
from scheduler.domain.records import (
    Batch,
    Calendar,
    Collector,
    OnUnconfirmed,
    Schedule,
    ScheduleTimes,
)
from scheduler.domain.request import (
    Params,
    TriggerOptions,
    check_name_template,
    choose_behaviour,
    read_object,
    render_name,
    render_placeholders,
    trigger_params,
)
from scheduler.domain.results import check_result_path, read_ready_by
from scheduler.domain.timetable import (
    Timetable,
    build_timetable,
    find_zone,
    parse_calendar,
    read_spec,
    timetable_values,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDefaults:
    """What holds where neither the schedule nor its collector says anything."""

    max_attempts: int
    backoff_initial: str
    backoff_max: str
    on_unconfirmed: OnUnconfirmed


def timetable_of(schedule: ScheduleTimes, calendars: Mapping[str, Calendar]) -> Timetable:
    """Return the schedule's timetable; raises InvalidInput for a row that has none."""
    excluded = tuple((name, _rules_of(name, calendars)) for name in excluded_calendars(schedule))
    return _timetable(schedule.name, timetable_values(schedule), excluded)


def excluded_calendars(schedule: ScheduleTimes) -> tuple[str, ...]:
    """Return the names of the calendars that the schedule excludes, as its row lists them."""
    return tuple(name.strip() for name in (schedule.exclude or "").split(",") if name.strip())


def _rules_of(name: str, calendars: Mapping[str, Calendar]) -> str:
    if name not in calendars:
        raise InvalidInput(f"exclude: no calendar is called {name!r}{_NAME_ONE}")
    return calendars[name].rules


# Most schedules fire again before they are edited: what they mean is read once.
@lru_cache(maxsize=20_000)
def _timetable(
    name: str, values: tuple[Any, ...], excluded: tuple[tuple[str, str], ...]
) -> Timetable:
    spec = read_spec(values)
    exclusions = (
        parse_calendar(calendar, rules, timezone=spec.timezone) for calendar, rules in excluded
    )
    try:
        return build_timetable(replace(spec, exclusions=tuple(exclusions)), name=name)
    except OverflowError:
        raise InvalidInput(
            "at, anchor, valid_from or valid_until is outside the years 1 to 9999 in UTC"
        ) from None


def misfire_grace_of(schedule: Schedule) -> timedelta:
    """Return how late the schedule's runs may still be sent."""
    return duration_of("misfire_grace", schedule.misfire_grace) or timedelta()


def duration_of(field: str, text: str | None) -> timedelta | None:
    """Read the duration in the column *field*; raises InvalidInput naming it."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except InvalidInput as error:
        raise InvalidInput(f"{field}: {error}") from None


def params_of(schedule: Schedule, collector: Collector, *, due_at: datetime) -> Params:
    """Return the parameters of the trigger that the schedule sends for *due_at*."""
    template = schedule.trigger_name or collector.trigger_name
    name = None
    if template is not None:
        zone = find_zone(schedule.timezone)
        name = render_name(template, schedule=schedule.name, due_at=due_at, zone=zone)
    notify = schedule.notify or collector.notify
    deliver = schedule.deliver or collector.deliver
    no_downloads = schedule.no_downloads
    return trigger_params(
        TriggerOptions(
            collector_id=collector.collector_id,
            behaviour=choose_behaviour(
                queue=schedule.queue, confirm_cancel=schedule.confirm_cancel
            ),
            queue=schedule.queue,
            version=schedule.version or collector.version,
            name=name,
            no_downloads=collector.no_downloads if no_downloads is None else no_downloads,
            deadline=schedule.deadline or collector.deadline,
            notify=None if notify is None else read_object(notify, what="notify"),
            deliver=None if deliver is None else _filled(deliver, schedule, due_at),
        )
    )


def _filled(deliver: str, schedule: Schedule, due_at: datetime) -> Mapping[str, object]:
    value, zone = read_object(deliver, what="deliver"), find_zone(schedule.timezone)
    return fill_placeholders(value, schedule.name, due_at=due_at, zone=zone)


def fill_placeholders(
    value: Mapping[str, Any], schedule: str, *, due_at: datetime, zone: tzinfo
) -> dict[str, Any]:
    """Return the object *value* with `{schedule}` and `{due_at:…}` filled into all its texts."""

    def fill(inner: Any) -> Any:
        match inner:
            case str():
                return render_placeholders(inner, schedule=schedule, due_at=due_at, zone=zone)
            case dict():
                return {key: fill(one) for key, one in inner.items()}
            case list():
                return [fill(one) for one in inner]
            case _:
                return inner

    return {key: fill(one) for key, one in value.items()}


def _check_trigger_name(template: str) -> None:
    try:
        check_name_template(template)
    except InvalidInput as error:
        raise InvalidInput(f"trigger_name: {error}") from None


def check_definition(
    schedule: Schedule, collector: Collector | None, batch: Batch | None
) -> tuple[Collector, Batch]:
    """
    Return what the schedule names; raises InvalidInput for a row that can send nothing.

    The text names the column, and the row where that is not the schedule's own.
    """
    if collector is None:
        raise InvalidInput(f"collector: no collector is called {schedule.collector!r}{_NAME_ONE}")
    if batch is None:
        raise InvalidInput(f"batch: no batch is called {schedule.batch!r}{_NAME_ONE}")
    if schedule.confirm_cancel and batch.max_inputs_per_trigger is not None:
        raise InvalidInput(
            f"confirm_cancel: batch {batch.name!r} has max_inputs_per_trigger, and each chunk would"
            ' cancel the one before it: write overlap = "replace" instead'
        )
    if batch.canary is not None:
        try:
            check_canary(batch.canary)
        except InvalidInput as error:
            raise InvalidInput(f"batch {batch.name!r}: canary {error}") from None
    misfire_grace_of(schedule)
    duration_of("catch_up_window", schedule.catch_up_window)
    duration_of("catch_up_pace", schedule.catch_up_pace)
    duration_of("min_interval", schedule.min_interval)
    duration_of("fresh_within", schedule.fresh_within)
    if duration_of("batch_max_age", schedule.batch_max_age) is not None and batch.file is None:
        raise InvalidInput(
            f"batch_max_age: batch {batch.name!r} has its inputs in its row, and no file that could"
            " be too old: leave it out"
        )
    _check_finish(schedule)
    _check_retry(schedule)
    _check_ready_by(schedule)
    _check_options(schedule)
    try:
        _check_options(collector)
        duration_of("min_interval", collector.min_interval)
    except InvalidInput as error:
        raise InvalidInput(f"{_place_of(collector)}{error}") from None
    _check_params(schedule, collector)
    return collector, batch


def _check_finish(schedule: Schedule) -> None:
    if schedule.finish_before is not None:
        try:
            read_ready_by(schedule.finish_before)
        except InvalidInput as error:
            raise InvalidInput(f"finish_before: {error}") from None


def _check_retry(schedule: Schedule) -> None:
    if schedule.retry_failed_inputs is None:
        return
    try:
        read_retry_policy(schedule.retry_failed_inputs)
        if schedule.confirm_cancel:
            raise InvalidInput("does not go with confirm_cancel, which would cancel what runs then")
    except InvalidInput as error:
        raise InvalidInput(f"retry_failed_inputs: {error}") from None


def _check_ready_by(schedule: Schedule) -> None:
    if schedule.ready_by is not None:
        try:
            read_ready_by(schedule.ready_by)
        except InvalidInput as error:
            raise InvalidInput(f"ready_by: {error}") from None


_NAME_ONE: Final = ": name one that there is, or create it"


def check_named(
    schedule: Schedule,
    collector: Collector,
    *,
    accounts: Collection[str],
    after: Mapping[str, str | None],
) -> None:
    """
    Raise InvalidInput where the account is missing, or what the schedule comes after.

    *after* has the schedules that it comes after, and those before them, each with the one
    before it.
    """
    if collector.account not in accounts:
        raise InvalidInput(
            f"{_place_of(collector)}account: no account is called {collector.account!r}{_NAME_ONE}"
        )
    chain = [schedule.name]
    before = schedule.after
    while before is not None and before not in chain:
        if before not in after:
            if before == schedule.after:
                raise InvalidInput(f"after: no schedule is called {before!r}{_NAME_ONE}")
            return  # that is the other's error
        chain.append(before)
        before = after[before]
    if before == schedule.name:
        ring = " after ".join((*chain, before))
        raise InvalidInput(f"after: comes after itself ({ring}): none of these would ever be due")


def _check_options(row: Schedule | Collector) -> None:
    if row.trigger_name is not None:
        _check_trigger_name(row.trigger_name)
    for field in ("deadline", "backoff_initial", "backoff_max", "keep_saved"):
        duration_of(field, getattr(row, field))
    if row.save_to is not None:
        try:
            check_result_path(row.save_to)
        except InvalidInput as error:
            raise InvalidInput(f"save_to: {error}") from None


def _check_params(schedule: Schedule, collector: Collector) -> None:
    try:
        params_of(schedule, collector, due_at=schedule.created_at)
    except InvalidInput as error:
        place = _place_of(collector) if _problem_of(schedule, collector) == str(error) else ""
        raise InvalidInput(f"{place}{error}") from None


def _problem_of(schedule: Schedule, collector: Collector) -> str | None:
    """Return what is wrong with the collector's own options, whatever the schedule says."""
    silent = replace(
        schedule,
        timezone="UTC",
        queue=None,
        confirm_cancel=False,
        deadline=None,
        version=None,
        trigger_name=None,
        notify=None,
        deliver=None,
    )
    try:
        params_of(silent, collector, due_at=schedule.created_at)
    except InvalidInput as error:
        return str(error)
    return None


def _place_of(collector: Collector) -> str:
    return f"collectors.{collector.name}: "
