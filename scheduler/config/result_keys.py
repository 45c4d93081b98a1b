"""Where the results of runs are saved: keys that a schedule and its collector have alike."""

from scheduler.config.table import TomlTable
from scheduler.config.values import DurationText, ResultPathText


class ResultKeys(TomlTable):
    """Where rows that a run brought are saved; a schedule's keys stand above its collector's."""

    save_to: ResultPathText | None = None
    """A path below the folder of [results], such as `{schedule}/{due_at:%Y-%m-%d}.jsonl.gz`."""
    keep_saved: DurationText | None = None
    """So long after it was saved a file is removed again; left out: never."""
