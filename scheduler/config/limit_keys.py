"""How much may be sent in a day: keys that a schedule, a collector and an account have alike."""

from scheduler.config.table import TomlTable
from scheduler.config.values import Count, DurationText


class LimitKeys(TomlTable):
    """What is beyond one of these is skipped (`over_limit`) and told, before it is sent."""

    max_runs_per_day: Count | None = None
    """Beyond so many accepted runs in a day of UTC others are skipped. No limit if left out."""
    max_inputs_per_day: Count | None = None
    """Beyond so many inputs in a day of UTC runs are skipped. No limit if left out."""
    min_interval: DurationText | None = None
    """A run that was meant sooner after the one before it is skipped; left out: none."""
