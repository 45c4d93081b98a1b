"""What a person does to many schedules at once: all of it, or none."""

from collections.abc import Sequence
from datetime import datetime

from scheduler.actions.definitions import change_definition
from scheduler.actions.schedules import Fire, write_fire
from scheduler.config import Config, Defaults
from scheduler.domain.errors import NeedsConfirmation
from scheduler.storage.database import Connection
from scheduler.views.runs import RunView
from scheduler.views.schedules import get_schedule


def fire_several(
    conn: Connection,
    fires: Sequence[Fire],
    *,
    config: Config,
    by: str,
    now: datetime,
    confirmed: bool = False,
) -> tuple[RunView, ...]:
    """Write the runs of what was prepared; NeedsConfirmation, with how many those are."""
    count = sum(len(fire.bodies) for fire in fires)
    if not confirmed:
        raise NeedsConfirmation(f"{len(fires)} schedules make {count} runs, all paid for", count)
    return tuple(
        run
        for fire in fires
        for run in write_fire(conn, fire, config=config, by=by, now=now, confirmed=True)
    )


def label_several(
    conn: Connection,
    names: Sequence[str],
    label: str,
    *,
    is_on: bool,
    defaults: Defaults,
    by: str,
    now: datetime,
) -> int:
    """Put a label on schedules, or take it off; return how many had it otherwise. OwnedByFile."""
    changed = 0
    for name in names:
        labels = get_schedule(conn, name, now=now).labels
        if (label in labels) is is_on:
            continue
        wanted = [*labels, label] if is_on else [each for each in labels if each != label]
        values = {"labels": wanted or None}
        change_definition(conn, "schedules", name, values, defaults=defaults, by=by, now=now)
        changed += 1
    return changed
