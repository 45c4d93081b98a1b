"""The program `dca-scheduler`, and `python -m scheduler`."""

import gc
import sys

# What is imported stays, and so does most of what a pass makes until the pass is over: looking for
# cycles after every 700 new objects, as is usual, took a tenth of a start and a third of a trigger.
gc.set_threshold(20_000, 20, 20)

from scheduler.cli.main import main  # noqa: E402  # what it imports is what takes long

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
