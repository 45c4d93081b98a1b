"""The program `dca-scheduler`, and `python -m scheduler`."""

import sys

from scheduler.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
