"""A batch with whoever uses it."""

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

_MOST: Final = 100
_CHANGES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPage:
    """
    A batch as it is stored, and what it would send now.

    *contents* is None where it was not asked for, or cannot be read, which *problem* says.
    *used_by* are schedules, a hundred at most.
    """

    batch: BatchView
    contents: BatchContents | None
    problem: str | None
    used_by: tuple[str, ...]
    changes: tuple[ChangeView, ...]


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
    )
