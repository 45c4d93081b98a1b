"""A batch with whoever uses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.errors import InputsError, InvalidInput
from scheduler.inputs import InputFiles
from scheduler.storage import audit, schedules
from scheduler.storage.database import Connection
from scheduler.storage.schedules import ScheduleFilter
from scheduler.views.batches import BatchContents, BatchView, get_batch, show_batch
from scheduler.views.changes import ChangeView
from scheduler.views.decoding import view
from scheduler.views.history import RunFigures, list_series

_MOST: Final = 100
_CHANGES: Final = 10
_LOOKED_AT: Final = 10
_SENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPage:
    """
    A batch as it is stored, and what it would send now.

    *contents* is None where it was not asked for, or cannot be read, which *problem* says.
    *used_by* are schedules, a hundred at most; *sent* are the newest runs of the first of them
    that were accepted, the oldest first.
    """

    batch: BatchView
    contents: BatchContents | None
    problem: str | None
    used_by: tuple[str, ...]
    changes: tuple[ChangeView, ...]
    sent: tuple[RunFigures, ...]


def read_batch_page(
    conn: Connection, name: str, *, limit: int, files: InputFiles, reads_file: bool, now: datetime
) -> BatchPage:
    """Read it all, a file only where *reads_file*: it may be large. Raises NotFound."""
    batch = get_batch(conn, name)
    contents, problem = None, None
    try:
        if reads_file or batch.file is None:
            contents = show_batch(conn, name, limit=limit, files=files, now=now)
    except (InputsError, InvalidInput) as wrong:
        problem = str(wrong)
    using = schedules.list_page(conn, ScheduleFilter(batch=name), limit=_MOST)
    changed = audit.list_changes(conn, subject=f"batches.{name}", limit=_CHANGES)
    return BatchPage(
        batch=batch,
        contents=contents,
        problem=problem,
        used_by=tuple(schedule.name for schedule in using),
        changes=tuple(view(ChangeView, row, columns=row.columns()) for row in changed),
        sent=_list_sent(conn, [schedule.name for schedule in using[:_LOOKED_AT]]),
    )


def _list_sent(conn: Connection, names: Sequence[str]) -> tuple[RunFigures, ...]:
    runs = [run for name in names for run in list_series(conn, name, limit=_SENT)]
    accepted = [run for run in runs if run.inputs is not None]
    return tuple(sorted(accepted, key=lambda run: run.due_at)[-_SENT:])
