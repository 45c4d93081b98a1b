"""
Reads the inputs of a batch: CSV, JSON, JSON Lines, or a URL a line.

Blocking, and in memory as a whole: call it in a thread.
"""

from scheduler.inputs.read import parse_inputs, read_inputs

__all__ = ["parse_inputs", "read_inputs"]
