"""What a person can do with many runs at once, and of which states each makes sense."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from scheduler.domain.collection_acts import CollectionAct
from scheduler.domain.records import RunState


class RunAct(StrEnum):
    """An act on runs that are there; a retry, which makes new ones, has rules of its own."""

    CANCEL = "cancel"
    RESEND = "resend"
    ABANDON = "abandon"


Act = RunAct | CollectionAct

_UNRESOLVED: Final = (RunState.UNCONFIRMED, RunState.NEEDS_ATTENTION)

ACTS_ON: Final[Mapping[Act, tuple[RunState, ...]]] = {
    RunAct.CANCEL: (RunState.QUEUED, RunState.COLLECTING),
    RunAct.RESEND: _UNRESOLVED,
    RunAct.ABANDON: _UNRESOLVED,
    CollectionAct.PAUSE: (RunState.COLLECTING,),
    CollectionAct.RESUME: (RunState.COLLECTING,),
    CollectionAct.RERUN: (
        RunState.PARTIAL,
        RunState.FAILED,
        RunState.SUCCEEDED,
        RunState.CANCELLED,
    ),
}
"""The states of the runs that an act is for: all others are left out."""

UNLESS_SAID: Final[Mapping[Act, tuple[RunState, ...]]] = {
    **ACTS_ON,
    CollectionAct.RERUN: (RunState.PARTIAL, RunState.FAILED),
}
"""The states of the runs that are meant where a filter names none."""

DONE: Final[Mapping[Act, str]] = {
    RunAct.CANCEL: "cancelled",
    RunAct.RESEND: "sent again",
    RunAct.ABANDON: "given up",
    CollectionAct.PAUSE: "paused",
    CollectionAct.RESUME: "resumed",
    CollectionAct.RERUN: "run again, and paid for",
}
"""What becomes of the runs, in words."""
