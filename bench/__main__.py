"""The command: measure, print a table, and write bench/results/TIME.json."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.figures import Busy, Figure, store, surroundings, table
from bench.measures import FULL, MEASURES, QUICK, TINY, Sizes
from bench.others import peers
from bench.place import databases

VERSIONS = ("python", "sqlite", "sqlalchemy", "psycopg", "aiohttp", "httpx")
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Carry out what the command line asks for; 1 if a measure could not be carried out."""
    asked = _arguments().parse_args()
    sizes = {"tiny": TINY, "quick": QUICK, "full": FULL}.get(asked.size, Sizes())
    if asked.rounds:
        sizes = replace(sizes, rounds=asked.rounds)
    before, began = surroundings(), Busy.now()
    names = (asked.only or list(MEASURES)) + ["peers"] * asked.peers
    figures, failed = _measure(names, sizes)
    others = Busy.now().others_since(began)
    versions = ", ".join(f"{name} {before[name]}" for name in VERSIONS)
    print(f"\n{before['machine']}; {versions}")
    print(f"load {before['load'][0]} at the start; others took {others:.0%} of the processors\n")
    print(table(figures))
    file = asked.json or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    store(figures, before | {"others": others, "failed": failed}, file)
    print(f"\n{file}")
    return 1 if failed else 0


def _measure(names: list[str], sizes: Sizes) -> tuple[list[Figure], dict[str, str]]:
    figures: list[Figure] = []
    failed: dict[str, str] = {}
    with databases() as made:
        for name in names:
            began = time.monotonic()
            try:
                for figure in {**MEASURES, "peers": peers}[name](made, sizes):
                    figures.append(figure)
                    print(table([figure]).splitlines()[-1], file=sys.stderr)
            except Exception as error:  # the other measures go on
                failed[name] = f"{type(error).__name__}: {error}"[:500]
                print(f"{name} failed: {failed[name]}", file=sys.stderr)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return figures, failed


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench", description="Measure the project.")
    parser.add_argument(
        "--only", action="append", choices=list(MEASURES), help="this measure; may be repeated"
    )
    parser.add_argument(
        "--peers", action="store_true", help="peers, too, in an environment of their own"
    )
    size = parser.add_mutually_exclusive_group()
    for name, words in (
        ("tiny", "one round, only to see that it runs"),
        ("quick", "small sizes"),
        ("full", "10 million runs of history"),
    ):
        flag = f"--{name}"
        size.add_argument(flag, action="store_const", dest="size", const=name, help=words)
    parser.add_argument("--rounds", type=int, help="how often each figure is taken")
    parser.add_argument("--json", type=Path, help="where the figures go, instead of bench/results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
