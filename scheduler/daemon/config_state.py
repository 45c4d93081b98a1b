"""What became of the configuration's last load."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class ConfigState:
    """
    When a file last was loaded, and refused since then if it was.

    *error* is why, or what of the file only a restart would bring.
    """

    loaded_at: datetime
    refused_at: datetime | None = None
    error: str | None = None

    def loaded(self, now: datetime, *, error: str | None) -> None:
        """Note that it was loaded."""
        self.loaded_at, self.refused_at, self.error = now, None, error

    def refused(self, now: datetime, *, error: str) -> None:
        """Note that it was refused: what was loaded before holds."""
        self.refused_at, self.error = now, error
