"""How large the database is: what a person is shown."""

from dataclasses import dataclass
from datetime import datetime

from scheduler.storage.database import Connection
from scheduler.storage.sizes import FileSize, TableSize, find_file_size, list_sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSizeView:
    """Every table, the largest first; *file* is that of SQLite."""

    tables: tuple[TableSize, ...]
    file: FileSize | None

    @property
    def advice(self) -> str | None:
        """How to get an SQLite file to shrink that cannot by itself."""
        if self.file is None or self.file.shrinks:
            return None
        return (
            "this file was made by an earlier version, and does not shrink by itself: stop the"
            " daemon once, and `dca-scheduler db vacuum`"
        )


def read_database_size(conn: Connection, *, now: datetime) -> DatabaseSizeView:
    """Measure the database; it counts all rows."""
    return DatabaseSizeView(tables=tuple(list_sizes(conn)), file=find_file_size(conn))
