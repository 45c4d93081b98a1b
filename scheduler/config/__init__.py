"""
TOML, environment and credentials become one validated model; every problem is listed at once.

document.py finds and reads the file, overrides.py lays the environment over it; model.py names
the tables that settings.py and definitions.py describe with the kinds of values.py; reading.py
checks them one by one, references.py and timetables.py together; problems.py words what is wrong;
secrets.py says where a secret is kept and reads it; load.py does it all in order.
"""

from scheduler.config.definitions import (
    AccountDefinition,
    BatchDefinition,
    BudgetDefinition,
    CalendarDefinition,
    CollectorDefinition,
    QueueDefinition,
    ScheduleDefinition,
)
from scheduler.config.document import find_config
from scheduler.config.http_settings import HttpSettings
from scheduler.config.load import LoadedConfig, load_config, load_database, parse_config
from scheduler.config.model import Config, json_schema
from scheduler.config.secrets import SecretKind, SecretReference
from scheduler.config.settings import (
    DaemonSettings,
    DatabaseSettings,
    Defaults,
    FollowSettings,
    LogSettings,
    UnconfirmedSettings,
)
from scheduler.config.timetables import calendar_text

__all__ = [
    "AccountDefinition",
    "BatchDefinition",
    "BudgetDefinition",
    "CalendarDefinition",
    "CollectorDefinition",
    "Config",
    "DaemonSettings",
    "DatabaseSettings",
    "Defaults",
    "FollowSettings",
    "HttpSettings",
    "LoadedConfig",
    "LogSettings",
    "QueueDefinition",
    "ScheduleDefinition",
    "SecretKind",
    "SecretReference",
    "UnconfirmedSettings",
    "calendar_text",
    "find_config",
    "json_schema",
    "load_config",
    "load_database",
    "parse_config",
]
