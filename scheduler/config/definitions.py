"""
The tables that define what runs: accounts, calendars, queues, collectors, batches, schedules.

Their texts stay as written, for they go to the database as text. A collector and a schedule are
made of groups of keys, each a class that is also checked alone when another group is wrong.
"""

from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from scheduler.config.limit_keys import LimitKeys
from scheduler.config.result_keys import ResultKeys
from scheduler.config.schedule_keys import BehaviourKeys, PolicyKeys, TimetableKeys
from scheduler.config.settings import check_pauses
from scheduler.config.table import TomlTable
from scheduler.config.values import (
    VENDOR,
    BaseUrl,
    CanaryText,
    CollectorId,
    Count,
    Deliver,
    DurationText,
    FieldNames,
    Name,
    NameTemplate,
    Notify,
    Secret,
    Version,
    WholeCount,
    judge,
    resolved,
)
from scheduler.domain.budgets import BudgetMode, read_scope
from scheduler.domain.records import OnUnconfirmed, QueueOrder

Price = Annotated[float, Field(gt=0, le=1_000_000_000)]


def _scope(text: str) -> str:
    judge(read_scope, text)
    return text


BudgetScope = Annotated[str, AfterValidator(_scope)]

BATCH_SUFFIXES: Final = (".csv", ".json", ".jsonl", ".ndjson", ".txt")


def _existing_file(path: str, info: ValidationInfo) -> str:
    file = resolved(path, info)
    if not file.is_file():
        raise ValueError(f"there is no file {file}")
    return str(file)


def _batch_file(path: str, info: ValidationInfo) -> str:
    # Whether it is there is asked when a run is due: it may be written just before.
    if Path(path).suffix.lower() not in BATCH_SUFFIXES:
        raise ValueError(f"must end in one of {' '.join(BATCH_SUFFIXES)}")
    if "{due_at" in path:
        raise ValueError(
            "its name cannot hold {due_at…}, which is for values: let whatever writes the file give"
            " it one name, or name all by a pattern such as urls-*.csv"
        )
    return str(resolved(path, info))


def _check_inputs(value: object) -> object:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError('must be an array of tables, such as [{ url = "https://…" }]')
    if not value:
        raise ValueError("must hold at least one input")
    for index, item in enumerate(value):
        _check_json(item, f"[{index}]")
    return value


def _check_json(value: object, place: str) -> None:
    match value:
        case dict():
            for key, item in value.items():
                _check_json(item, f"{place}.{key}")
        case list():
            for index, item in enumerate(value):
                _check_json(item, f"{place}[{index}]")
        case date() | time():
            raise ValueError(
                f"{place} is a date or a time, which JSON does not know: put it in quotes"
            )
        case float() if value != value or abs(value) == float("inf"):
            raise ValueError(f"{place} is a number that JSON does not know")


class AccountDefinition(LimitKeys):
    """How to reach one upstream account."""

    base_url: BaseUrl = VENDOR
    """Where the API is: https, or http on this machine only."""
    token: Secret
    """Where the API token is kept, such as `{ env = "DCA_API_TOKEN" }`."""
    max_in_flight: Count = 32
    """How many requests may be under way at once."""
    requests_per_second: Annotated[float, Field(gt=0, le=1_000_000)] = 20.0
    """How many requests are started in a second at most."""
    accept_unknown_collectors: bool = False
    """Whether `POST /dca/trigger` takes collectors that are not configured, with the defaults."""
    price_per_thousand: Price | None = None
    """What a thousand page loads cost, in any currency, for costs and budgets in money."""
    invoice: bool = False
    """Whether the upstream is asked for its bills and the balance: the token needs the right."""
    balance_below: Price | None = None
    """A balance below it is told; the upstream is asked for it every hour."""


class BudgetDefinition(TomlTable):
    """What a calendar month, in UTC, may cost: page loads, money, or both."""

    scope: BudgetScope = "all"
    """`all`, or whose runs count: `account:NAME`, `collector:…`, `schedule:…`, `label:…`."""
    page_loads: Count | None = None
    """How many page loads a month may have."""
    money: Price | None = None
    """How much a month may cost, in the currency of the accounts' price_per_thousand."""
    mode: Annotated[BudgetMode, Field(strict=False)] = BudgetMode.SOFT
    """`soft`: what is beyond is sent, and told; `hard`: it is skipped."""

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.page_loads is None and self.money is None:
            raise ValueError("must have page_loads or money, or both")
        return self


class CalendarDefinition(TomlTable):
    """Days and hours at which schedules that exclude it do not fire."""

    days: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Dates, ranges, weekdays and windows, such as `2026-12-24..2027-01-06` or `sat-sun`."""
    ics: Annotated[str, AfterValidator(_existing_file)] | None = None
    """An iCalendar file, relative to this file; kept as an absolute path."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not self.days and self.ics is None:
            raise ValueError("must have days or ics, or both")
        return self


class QueueDefinition(TomlTable):
    """A named queue's own rules."""

    order: Annotated[QueueOrder, Field(strict=False)] = QueueOrder.STRICT
    """`strict`: the head blocks those behind it; `relaxed`: others may pass."""
    max_depth: Count | None = None
    """How many runs may wait; a further one is skipped with that reason. No limit if left out."""


class TriggerKeys(TomlTable):
    """What a trigger asks for; a schedule's keys stand above its collector's."""

    deadline: DurationText | None = None
    """When the upstream ends the collection, such as `90m`."""
    version: Version | None = None
    """`dev` runs the collector's development version."""
    name: NameTemplate | None = None
    """The name of the job at the upstream, with `{schedule}` and `{due_at:%Y-%m-%d}` filled in."""
    notify: Notify | None = None
    """Who is told when it is done, as `{ type = "email" }`; credentials as `${secret:NAME}`."""
    deliver: Deliver | None = None
    """Where the upstream delivers the result; credentials as `${secret:NAME}`."""


class RetryKeys(TomlTable):
    """How often and how fast a run is tried again; left out: the collector's, then [defaults]."""

    max_attempts: Count | None = None
    """How many triggers are sent for one run at most."""
    backoff_initial: DurationText | None = None
    """The pause after the first failed attempt; it doubles."""
    backoff_max: DurationText | None = None
    """The longest pause between two attempts."""
    on_unconfirmed: Annotated[OnUnconfirmed, Field(strict=False)] | None = None
    """When a lost trigger was looked for and not found: `resend`, `hold` for a person, `skip`."""

    @model_validator(mode="after")
    def _pauses_grow(self) -> Self:
        try:
            check_pauses(self.backoff_initial, self.backoff_max)
        except ValueError as error:
            raise ValueError(f"backoff_max {error}") from None
        return self


class CollectorDefinition(TriggerKeys, RetryKeys, ResultKeys, LimitKeys):
    """An upstream scraper, and the defaults of its triggers."""

    id: CollectorId
    """The collector's id at the upstream, `c_…`."""
    account: str = ""
    """A name of [accounts]; may be left out when there is one. Always filled in by load_config."""
    no_downloads: bool = False
    """Whether media files are left alone."""
    max_running: Count = 100
    """How many collections may run at once."""
    count_others: bool = True
    """Whether jobs that somebody else started on it count for overlap and max_running."""
    max_unresolved: Count = 1
    """How many triggers may lack a readable answer at once; with more, a lost one is ambiguous."""
    max_inputs_per_trigger: Count | None = None
    """With more inputs, what comes by HTTP becomes several runs, in order. No limit if left out."""


class BatchDefinition(TomlTable):
    """A named list of inputs: exactly one of file and inputs."""

    file: Annotated[str, AfterValidator(_batch_file)] | None = None
    """A .csv, .json, .jsonl, .ndjson or .txt, relative to this file; kept as an absolute path."""
    inputs: Annotated[list[dict[str, Any]], BeforeValidator(_check_inputs)] | None = None
    """The inputs themselves: an array of tables."""
    send_as: Literal["json", "csv", "multipart"] = "json"
    """The kind of body they are sent as."""
    dedupe: bool = False
    """Whether an input that is there twice is sent once."""
    max_inputs_per_trigger: Count | None = None
    """With more inputs, an occurrence becomes several runs, sent in order. No limit if left out."""
    required: FieldNames = ()
    """Fields that every input must have, and not empty."""
    max_change_percent: WholeCount | None = None
    """Refuse when the number of inputs differs by more from the last good run; left out: never."""
    max_inputs: Count | None = None
    """Refuse more inputs than this in all: they are money; 100,000 if left out."""
    max_chunks: Count | None = None
    """Refuse more runs than this of one occurrence; 100 if left out."""
    canary: CanaryText | None = None
    """So many inputs first (`50`, or a share, `"2%"`); the others once these have ended well."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.file is None) == (self.inputs is None):
            has = "neither" if self.file is None else "both"
            raise ValueError(f"must have exactly one of file and inputs; this one has {has}")
        return self


class ScheduleDefinition(
    TimetableKeys, BehaviourKeys, PolicyKeys, ResultKeys, LimitKeys, TriggerKeys, RetryKeys
):
    """Collector + batch + timetable + policies."""

    collector: Name
    """A name of [collectors]."""
    batch: Name
    """A name of [batches]."""
    no_downloads: bool | None = None
    """Whether media files are left alone; left out: the collector's."""
    enabled: bool = True
    """Whether it fires."""
