"""The tables that set up the program: each stands once in the file, and all may be left out."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from scheduler.config.table import TomlTable
from scheduler.config.values import (
    BaseUrl,
    Count,
    DatabaseUrl,
    Duration,
    DurationText,
    ZoneName,
    origin_of,
    resolved,
)
from scheduler.domain.durations import format_duration, parse_duration
from scheduler.domain.records import CatchUp, OnUnconfirmed
from scheduler.domain.retention import KEPT_OF_A_SCHEDULE, SAFE_AFTER, USAGE_KEPT

_LEASE_MARGIN = timedelta(seconds=10)


def _folder(path: str, info: ValidationInfo) -> str:
    return str(resolved(path, info))


class Limits(TomlTable):
    """What rows may be, whoever writes them: only the file says this."""

    hosts: tuple[BaseUrl, ...] = Field((), strict=False)
    """Where tokens and notices may be sent; left out: anywhere, tokens as AccountLimits says."""

    def allows(self, url: str) -> bool:
        """Tell whether something may be sent there."""
        return not self.hosts or origin_of(url) in {origin_of(host) for host in self.hosts}


class DatabaseSettings(TomlTable):
    """Where everything is kept."""

    url: DatabaseUrl = Field("sqlite:///dca-scheduler.db", validate_default=True, repr=False)
    """`sqlite:///FILE`, relative to this file, or `postgresql://…`."""
    auto_migrate: bool = True
    """Whether a start brings an older schema up to date."""
    upgrade_backups: Annotated[int, Field(ge=0)] = 3
    """Copies of an SQLite file, made before its schema is brought up to date; 0: none."""


class DaemonSettings(TomlTable):
    """How the daemon works."""

    request_timeout: Duration = Field("30s", validate_default=True)
    """The total time limit of one upstream request."""
    lease: Duration = Field("60s", validate_default=True)
    """How long a run is claimed for; longer than request_timeout by at least 10s."""
    shutdown_grace: Duration = Field("30s", validate_default=True)
    """How long a stop waits for requests in flight."""
    poll_interval: Duration = Field("2s", validate_default=True)
    """How soon rows that were edited by hand, and other daemons' work, are seen."""
    trust_upstream_clock: bool = True
    """Whether what the upstream's answers say of the time may put ours in doubt."""
    inputs_root: Annotated[str, AfterValidator(_folder)] = Field(".", validate_default=True)
    """The folder below which batches may name files; and those of batches in this file."""

    @field_validator("lease")
    @classmethod
    def _outlasts_a_request(cls, lease: timedelta, info: ValidationInfo) -> timedelta:
        least = info.data.get("request_timeout", timedelta(0)) + _LEASE_MARGIN
        if lease < least:
            raise ValueError(
                f"must be at least {format_duration(least)}, 10s longer than request_timeout:"
                " a lease that ends during a request gives its run away"
            )
        return lease


class LogSettings(TomlTable):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """`auto`: console on a terminal, JSON lines elsewhere."""


class Defaults(TomlTable):
    """What holds for collectors and schedules that do not say otherwise."""

    timezone: ZoneName = "UTC"
    """The zone of schedules, an IANA name."""
    misfire_grace: DurationText = "1h"
    """How late a run may still start."""
    catch_up: Annotated[CatchUp, Field(strict=False)] = CatchUp.LATEST
    """Which of several owed occurrences become runs: `latest`, `all`, `none`."""
    max_attempts: Count = 5
    """How many triggers are sent for one run at most."""
    backoff_initial: DurationText = "30s"
    """The pause after the first failed attempt; it doubles."""
    backoff_max: DurationText = Field("15m", validate_default=True)
    """The longest pause between two attempts."""
    on_unconfirmed: Annotated[OnUnconfirmed, Field(strict=False)] = OnUnconfirmed.RESEND
    """When a lost trigger was looked for and not found: `resend`, `hold` for a person, `skip`."""

    @field_validator("backoff_max")
    @classmethod
    def _is_longest(cls, longest: str, info: ValidationInfo) -> str:
        check_pauses(info.data.get("backoff_initial"), longest)
        return longest


class UnconfirmedSettings(TomlTable):
    """How a trigger whose answer was lost is looked for."""

    lookup_after: Annotated[tuple[Duration, ...], Field(strict=False, min_length=1)] = Field(
        ("5s", "30s", "2m", "10m"), validate_default=True
    )
    """When to look, counted from the loss; growing."""

    @field_validator("lookup_after")
    @classmethod
    def _grows(cls, delays: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if list(delays) != sorted(set(delays)):
            raise ValueError("must grow from one to the next")
        return delays


class FollowSettings(TomlTable):
    """How gently the upstream is asked what became of a collection."""

    poll_initial: Duration = Field("10s", validate_default=True)
    """The pause before the first question; it grows."""
    poll_max: Duration = Field("5m", validate_default=True)
    """The longest pause between two questions."""
    overdue_after: Duration = Field("24h", validate_default=True)
    """A collection that has not ended by then is told, and holds up no other run any more."""

    @field_validator("poll_max")
    @classmethod
    def _is_longest(cls, longest: timedelta, info: ValidationInfo) -> timedelta:
        first = info.data.get("poll_initial", longest)
        check_pauses(format_duration(first), format_duration(longest), name="poll_initial")
        return longest


class RetentionSettings(TomlTable):
    """How long the past is kept; what is left out is kept for ever."""

    runs: Duration | None = None
    """Ended runs, with their attempts, collections and events; 17d at least."""
    runs_per_schedule: Annotated[int, Field(ge=KEPT_OF_A_SCHEDULE)] | None = None
    """The newest runs of each schedule; 100 at least. What is older than 17d and beyond it goes."""
    request_keys: Duration | None = None
    """How long a repeated request under its key is no second run; its run is kept as long."""
    changes: Duration | None = None
    """The audit."""
    holds: Duration = Field("90d", validate_default=True)
    """What has held runs up."""
    notices: Duration = Field("90d", validate_default=True)
    """What was told, once it has arrived or was given up, and alerts that are over."""

    results: Duration = Field("90d", validate_default=True)
    """What became of results, once they are saved or given up; a file is removed by keep_saved."""

    usage: Duration | None = None
    """What each day sent, by schedule, for `costs` and budgets; 62d at least."""

    @field_validator("usage")
    @classmethod
    def _is_two_months(cls, usage: timedelta | None) -> timedelta | None:
        if usage is not None and usage < USAGE_KEPT:
            raise ValueError(
                f"must be at least {format_duration(USAGE_KEPT)}: limits, budgets and forecasts"
                " rest on this month and the one before"
            )
        return usage

    @field_validator("runs")
    @classmethod
    def _is_safe(cls, runs: timedelta | None) -> timedelta | None:
        if runs is not None and runs < SAFE_AFTER:
            raise ValueError(
                f"must be at least {format_duration(SAFE_AFTER)}: the upstream keeps its jobs for"
                " 16 days, and what is looked for among them must be known"
            )
        return runs


class ResultSettings(TomlTable):
    """Where this machine saves the results of runs."""

    folder: Annotated[str, AfterValidator(_folder)] | None = None
    """The folder below which `save_to` leads; it must be there. Left out: nothing is saved here."""


class MetricsSettings(TomlTable):
    """What the metrics tell."""

    max_schedules: Annotated[int, Field(ge=0, le=10_000)] = 100
    """So many schedules, the first by name, have series of their own; 0: none."""


def check_pauses(first: str | None, longest: str | None, *, name: str = "backoff_initial") -> None:
    """Raise ValueError if pauses that begin at *first* would begin above *longest*."""
    if (
        first is not None
        and longest is not None
        and parse_duration(first) > parse_duration(longest)
    ):
        raise ValueError(f"{longest} is shorter than {name}, {first}")
