"""What a person does to many schedules at once: all of it, or none."""

from collections.abc import Sequence
from datetime import datetime

from scheduler.actions.definitions import change_definition
from scheduler.actions.pauses import pause_schedules, resume_schedules
from scheduler.actions.schedules import Fire, prepare_fire, write_fire
from scheduler.config import Config, Defaults
from scheduler.domain.errors import Conflict, NeedsConfirmation
from scheduler.inputs import ANY_FILE, InputFiles
from scheduler.storage import runs
from scheduler.storage.database import Connection, Database
from scheduler.views.runs import RunView
from scheduler.views.schedule_list import list_chosen, list_paused, list_to_label
from scheduler.views.schedules import ScheduleFilter, ScheduleView, get_schedule


def prepare_fires(
    db: Database, names: Sequence[str], *, now: datetime, files: InputFiles = ANY_FILE
) -> tuple[Fire, ...]:
    """Read what several schedules would send now, outside of any transaction."""
    return tuple(prepare_fire(db, name, now=now, files=files) for name in names)


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
    if count and not confirmed:
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


def pause_chosen(
    conn: Connection,
    wanted: ScheduleFilter,
    *,
    by: str,
    reason: str,
    until: datetime | None = None,
    now: datetime,
    confirmed: bool,
) -> tuple[ScheduleView, ...]:
    """Pause what `list_chosen` chooses; NeedsConfirmation, with the count, if it is any."""
    names = [row.name for row in list_chosen(conn, wanted, now=now)]
    _ask(len(names), "paused", confirmed=confirmed)
    pause_schedules(conn, names, by=by, reason=reason, until=until, now=now)
    return _shown(conn, names, now)


def resume_chosen(
    conn: Connection, wanted: ScheduleFilter, *, by: str, now: datetime, confirmed: bool
) -> tuple[ScheduleView, ...]:
    """Resume what `list_paused` chooses; NeedsConfirmation, with the count, if it is any."""
    names = [row.name for row in list_paused(conn, wanted, now=now)]
    if not names:
        return ()
    if not confirmed:
        waiting = runs.count_waiting_of_schedules(conn, names)
        told = f"; runs that wait and would be sent: {waiting}" if waiting else ""
        _ask(len(names), f"resumed{told}", confirmed=False)
    resume_schedules(conn, names, by=by, now=now, confirmed=True)
    return _shown(conn, names, now)


def label_chosen(
    conn: Connection,
    wanted: ScheduleFilter,
    label: str,
    *,
    is_on: bool,
    defaults: Defaults,
    by: str,
    now: datetime,
    confirmed: bool,
) -> tuple[ScheduleView, ...]:
    """
    Label what `list_to_label` chooses; NeedsConfirmation, with the count, if it is any.

    Conflict where a file owns all of it.
    """
    found = list_to_label(conn, wanted, label, is_on=is_on, now=now)
    names, owned = [row.name for row in found.schedules], len(found.owned)
    told = f"{owned} that a file owns: their labels are changed there, then applied"
    if owned and not names:
        raise Conflict(f"all that is chosen are {told}")
    left_out = f"; left out are {told}" if owned else ""
    _ask(len(names), f"{'given' if is_on else 'rid of'} {label}{left_out}", confirmed=confirmed)
    label_several(conn, names, label, is_on=is_on, defaults=defaults, by=by, now=now)
    return _shown(conn, names, now)


def _ask(count: int, what: str, *, confirmed: bool) -> None:
    if count and not confirmed:
        raise NeedsConfirmation(f"{count} schedules would be {what}", count)


def _shown(conn: Connection, names: Sequence[str], now: datetime) -> tuple[ScheduleView, ...]:
    return list_chosen(conn, ScheduleFilter(names=names), now=now) if names else ()
