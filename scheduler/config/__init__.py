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
    CalendarDefinition,
    CollectorDefinition,
    QueueDefinition,
    ScheduleDefinition,
)
from scheduler.config.document import find_config
from scheduler.config.load import LoadedConfig, load_config, load_database
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
from scheduler.config.timetables import read_calendar, timetable_spec

__all__ = [
    "AccountDefinition",
    "BatchDefinition",
    "CalendarDefinition",
    "CollectorDefinition",
    "Config",
    "DaemonSettings",
    "DatabaseSettings",
    "Defaults",
    "FollowSettings",
    "LoadedConfig",
    "LogSettings",
    "QueueDefinition",
    "ScheduleDefinition",
    "SecretKind",
    "SecretReference",
    "UnconfirmedSettings",
    "find_config",
    "json_schema",
    "load_config",
    "load_database",
    "read_calendar",
    "timetable_spec",
]
