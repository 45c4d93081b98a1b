"""The whole configuration as one frozen value."""

from typing import Any

from pydantic import Field

from scheduler.config.definitions import (
    AccountDefinition,
    BatchDefinition,
    BudgetDefinition,
    CalendarDefinition,
    CollectorDefinition,
    QueueDefinition,
    ScheduleDefinition,
)
from scheduler.config.http_settings import HttpSettings
from scheduler.config.notice_settings import ChannelDefinition, HeartbeatSettings, NoticeRule
from scheduler.config.settings import (
    DaemonSettings,
    DatabaseSettings,
    Defaults,
    FollowSettings,
    Limits,
    LogSettings,
    MetricsSettings,
    ResultSettings,
    RetentionSettings,
    UnconfirmedSettings,
)
from scheduler.config.table import TomlTable
from scheduler.config.values import Destined, Name


class Config(TomlTable):
    """Every table of the file, with overrides and defaults filled in."""

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    daemon: DaemonSettings = Field(default_factory=DaemonSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    defaults: Defaults = Field(default_factory=Defaults)
    unconfirmed: UnconfirmedSettings = Field(default_factory=UnconfirmedSettings)
    follow: FollowSettings = Field(default_factory=FollowSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    results: ResultSettings = Field(default_factory=ResultSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    http: HttpSettings | None = None
    heartbeat: HeartbeatSettings | None = None
    limits: Limits = Field(default_factory=Limits)
    accounts: dict[Name, AccountDefinition] = Field(default_factory=dict)
    secrets: dict[Name, Destined] = Field(default_factory=dict)
    channels: dict[Name, ChannelDefinition] = Field(default_factory=dict)
    notices: dict[Name, NoticeRule] = Field(default_factory=dict)
    budgets: dict[Name, BudgetDefinition] = Field(default_factory=dict)
    calendars: dict[Name, CalendarDefinition] = Field(default_factory=dict)
    queues: dict[Name, QueueDefinition] = Field(default_factory=dict)
    collectors: dict[Name, CollectorDefinition] = Field(default_factory=dict)
    batches: dict[Name, BatchDefinition] = Field(default_factory=dict)
    schedules: dict[Name, ScheduleDefinition] = Field(default_factory=dict)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, which editors complete and check by."""
    return Config.model_json_schema()
