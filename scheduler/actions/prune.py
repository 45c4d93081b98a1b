"""Forgetting what is old, in small transactions: by hand, beside running daemons."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from scheduler.config.settings import RetentionSettings
from scheduler.domain.retention import Retention
from scheduler.storage import retention
from scheduler.storage.audit import record_change
from scheduler.storage.database import Database
from scheduler.storage.dialect import give_back_pages
from scheduler.storage.retention import Sweep

_PAUSE_SECONDS = 0.05
_OTHERS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows of each table are gone, or would be."""

    is_dry_run: bool
    row_counts: Mapping[str, int]


def rules_of(settings: RetentionSettings) -> Retention:
    """Return what the configuration says is kept."""
    return Retention(**{one.name: getattr(settings, one.name) for one in fields(Retention)})


def prune(
    db: Database,
    rules: Retention,
    *,
    by: str,
    now: datetime,
    pause: Callable[[float], None],
    dry_run: bool = False,
) -> Pruned:
    """Forget all that *rules* let go, a few hundred rows a transaction, and a pause after each."""
    counts: Counter[str] = Counter()
    sweep = Sweep()
    while not sweep.done:
        with db.reading() if dry_run else db.writing() as conn:
            counts.update(retention.prune_runs(conn, sweep, rules, now=now, dry_run=dry_run))
        if not dry_run:
            pause(_PAUSE_SECONDS)
    if dry_run:
        with db.reading() as conn:
            counts.update(retention.count_others(conn, rules, now=now))
    else:
        _prune_others(db, rules, now, pause, counts)
        with db.writing() as conn:
            columns = {"retention": (None, {k: str(v) for k, v in asdict(rules).items() if v})}
            record_change(conn, by, "prune", "database", columns, now=now)
    gone = {name: count for name, count in counts.items() if count}
    return Pruned(is_dry_run=dry_run, row_counts=gone)


def _prune_others(
    db: Database,
    rules: Retention,
    now: datetime,
    pause: Callable[[float], None],
    counts: Counter[str],
) -> None:
    more = True
    while more:
        with db.writing() as conn:
            gone = retention.prune_others(conn, rules, now=now, limit=_OTHERS_AT_ONCE)
            more = bool(give_back_pages(conn)) or any(gone.values())
        counts.update(gone)
        pause(_PAUSE_SECONDS)
