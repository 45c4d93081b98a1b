"""What a person can do with many runs at once, and of which states each makes sense."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from scheduler.domain.records import RunState


class RunAct(StrEnum):
    """An act on runs that are there; a retry, which makes new ones, has rules of its own."""

    CANCEL = "cancel"
    RESEND = "resend"
    ABANDON = "abandon"


_UNRESOLVED: Final = (RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION)

ACTS_ON: Final[Mapping[RunAct, tuple[RunState, ...]]] = {
    RunAct.CANCEL: (RunState.QUEUED, RunState.COLLECTING),
    RunAct.RESEND: _UNRESOLVED,
    RunAct.ABANDON: _UNRESOLVED,
}
"""The states of the runs that an act is for: all others are left out."""

DONE: Final[Mapping[RunAct, str]] = {
    RunAct.CANCEL: "cancelled",
    RunAct.RESEND: "sent again",
    RunAct.ABANDON: "given up",
}
"""What becomes of the runs, in words."""
