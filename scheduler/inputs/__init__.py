"""
Reads the inputs of a batch: CSV, JSON, JSON Lines, or a URL a line; from one file or from many.

Blocking: call it in a thread. What is named `iter_…` holds a window of a file and no more.
"""

from scheduler.inputs.bodies import (
    MOST_BODY_BYTES,
    LeaveOut,
    NoSpool,
    iter_bodies,
    iter_sent,
    least_length,
    write_body,
)
from scheduler.inputs.doubts import Warn
from scheduler.inputs.files import (
    ANY_FILE,
    ChangedMeanwhile,
    InputFiles,
    find_files,
    find_written_at,
)
from scheduler.inputs.read import iter_inputs, not_empty, parse_inputs, read_inputs
from scheduler.inputs.stored import iter_stored
from scheduler.inputs.uploads import drop, read_upload

__all__ = [
    "ANY_FILE",
    "MOST_BODY_BYTES",
    "ChangedMeanwhile",
    "InputFiles",
    "LeaveOut",
    "NoSpool",
    "Warn",
    "drop",
    "find_files",
    "find_written_at",
    "iter_bodies",
    "iter_inputs",
    "iter_sent",
    "iter_stored",
    "least_length",
    "not_empty",
    "parse_inputs",
    "read_inputs",
    "read_upload",
    "write_body",
]
