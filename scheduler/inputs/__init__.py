"""
Reads the inputs of a batch: CSV, JSON, JSON Lines, or a URL a line; from one file or from many.

Blocking: call it in a thread. What is named `iter_…` holds a window of a file and no more.
"""

from scheduler.inputs.bodies import MOST_BODY_BYTES, iter_bodies, iter_sent, least_length
from scheduler.inputs.read import find_files, iter_inputs, parse_inputs, read_inputs

__all__ = [
    "MOST_BODY_BYTES",
    "find_files",
    "iter_bodies",
    "iter_inputs",
    "iter_sent",
    "least_length",
    "parse_inputs",
    "read_inputs",
]
