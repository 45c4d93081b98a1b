"""The tables that set up the program: each stands once in the file, and all may be left out."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from scheduler.config.table import TomlTable
from scheduler.config.values import Count, DatabaseUrl, Duration, DurationText, ZoneName
from scheduler.domain.durations import format_duration, parse_duration
from scheduler.domain.records import CatchUp, OnUnconfirmed

_LEASE_MARGIN = timedelta(seconds=10)


class DatabaseSettings(TomlTable):
    """Where everything is kept."""

    url: DatabaseUrl = Field("sqlite:///dca-scheduler.db", validate_default=True, repr=False)
    """`sqlite:///FILE`, relative to this file, or `postgresql://…`."""
    auto_migrate: bool = True
    """Whether a start brings an older schema up to date."""


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
    first_pause: DurationText = "30s"
    """The pause after the first failed attempt; it doubles."""
    longest_pause: DurationText = Field("15m", validate_default=True)
    """The longest pause between two attempts."""
    on_unconfirmed: Annotated[OnUnconfirmed, Field(strict=False)] = OnUnconfirmed.RESEND
    """When a lost trigger was looked for and not found: `resend`, `hold` for a person, `skip`."""

    @field_validator("longest_pause")
    @classmethod
    def _is_longest(cls, longest: str, info: ValidationInfo) -> str:
        check_pauses(info.data.get("first_pause"), longest)
        return longest


class UnconfirmedSettings(TomlTable):
    """How a trigger whose answer was lost is looked for."""

    look_after: Annotated[tuple[Duration, ...], Field(strict=False, min_length=1)] = Field(
        ("5s", "30s", "2m", "10m"), validate_default=True
    )
    """When to look, counted from the loss; growing."""

    @field_validator("look_after")
    @classmethod
    def _grows(cls, delays: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if list(delays) != sorted(set(delays)):
            raise ValueError("must grow from one to the next")
        return delays


class FollowSettings(TomlTable):
    """How gently the upstream is asked what became of a collection."""

    first_pause: Duration = Field("10s", validate_default=True)
    """The pause before the first question; it grows."""
    longest_pause: Duration = Field("5m", validate_default=True)
    """The longest pause between two questions."""

    @field_validator("longest_pause")
    @classmethod
    def _is_longest(cls, longest: timedelta, info: ValidationInfo) -> timedelta:
        first = info.data.get("first_pause", longest)
        check_pauses(format_duration(first), format_duration(longest))
        return longest


def check_pauses(first: str | None, longest: str | None) -> None:
    """Raise ValueError if pauses that begin at *first* would begin above *longest*."""
    if (
        first is not None
        and longest is not None
        and parse_duration(first) > parse_duration(longest)
    ):
        raise ValueError(f"{longest} is shorter than first_pause, {first}")
