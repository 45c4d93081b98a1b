"""
Simulate many seeds, or replay one: `python -m tests.simulation [--seeds 0..100] [--hours 3]`.

A seed whose days broke the promise is printed, and the exit code is 1. What a set is looped over in
depends on PYTHONHASHSEED, so this process has it set to 0: the same seed comes to the same.
"""

import argparse
import atexit
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from scheduler.logs import configure_logging
from tests.databases import migrated_postgresql
from tests.postgres import Session
from tests.simulation.world import simulate


def main() -> int:
    """Simulate, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one, step by step")
    parser.add_argument("--seeds", default="0..50", help="FIRST..LAST")
    parser.add_argument("--hours", type=float, default=3.0, help="of troubles, of each seed")
    parser.add_argument("--seconds", type=float, help="begin no other seed after so long")
    parser.add_argument("--postgresql", action="store_true", help="on a server of its own")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        words = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, words, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606
    configure_logging("info" if given.seed is not None else "critical")
    first, last = map(int, given.seeds.split(".."))
    seeds = [given.seed] if given.seed is not None else list(range(first, last + 1))
    if given.postgresql:
        atexit.register(Session().close)
    began, broken, done = time.monotonic(), [], 0
    for seed in seeds:
        if given.seconds is not None and time.monotonic() - began > given.seconds:
            break
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            url = stack.enter_context(migrated_postgresql()) if given.postgresql else None
            told = print if given.seed is not None else None
            world = simulate(seed, folder, hours=given.hours, postgresql=url, told=told)
        done += 1
        print(f"seed {seed}: {len(world.upstream.jobs)} jobs, {world.counted}", flush=True)
        for line in world.found:
            print(f"seed {seed}: {line}")
        broken += [seed] if world.found else []
    print(f"{done} seeds, {len(broken)} broke the promise{': ' if broken else ''}{broken or ''}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
