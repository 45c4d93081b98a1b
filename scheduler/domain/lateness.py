"""When a run was meant to be sent: what every answer counts lateness from."""

from datetime import datetime, timedelta
from typing import Protocol


class Dated(Protocol):
    """As much of a run as tells when it was meant to be sent: `Run`, for one."""

    @property
    def due_at(self) -> datetime:
        """When it is due."""

    @property
    def not_before(self) -> datetime:
        """When it may be sent first, or again."""

    @property
    def created_at(self) -> datetime:
        """When it was written."""

    @property
    def created_by(self) -> str | None:
        """Who asked for it by hand."""

    @property
    def fence(self) -> int:
        """How often it was claimed."""

    @property
    def triggered_at(self) -> datetime | None:
        """When the trigger that was accepted was sent."""


def meant_at(run: Dated) -> datetime:
    """
    Return when *run* was meant to be sent: when it was due, its jitter or spread included.

    One that was asked for by hand, a backfill of the past too, was meant when it was asked for.
    """
    asked = run.due_at if run.created_by is None else max(run.due_at, run.created_at)
    # After an attempt `not_before` is when the next was made.
    return asked if run.fence > 1 else max(asked, run.not_before)


def late_by(run: Dated) -> timedelta | None:
    """Return how much later than meant a run was sent; None for one that was not sent."""
    return None if run.triggered_at is None else run.triggered_at - meant_at(run)
