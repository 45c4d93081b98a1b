"""What was measured: a figure has a value of each run, and what it is compared with."""

import json
import os
import platform
import resource
import sqlite3
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    One thing that was measured, once in each run.

    *against* are values of the same runs that its ratio is to: those of a bare loop, or of an
    empty database. *target* is what the ratio, or else the value, is to reach.
    """

    name: str
    unit: str
    values: Sequence[float]
    against: Sequence[float] | None = None
    target: str = ""

    def spread(self) -> tuple[float, float, float]:
        """Return the least, the middle and the most."""
        return min(self.values), statistics.median(self.values), max(self.values)

    def ratio(self) -> float | None:
        """Return the middle one of the runs' own ratios."""
        if self.against is None:
            return None
        pairs = zip(self.values, self.against, strict=True)
        return statistics.median(value / other for value, other in pairs)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that *share* of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows: list[tuple[str, ...]] = [("figure", "unit", "min", "median", "max", "ratio", "target")]
    for figure in figures:
        ratio = figure.ratio()
        shown = f"{ratio:.2f}" if ratio is not None else ""
        spread = (_number(value) for value in figure.spread())
        rows.append((figure.name, figure.unit, *spread, shown, figure.target))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def surroundings() -> dict[str, Any]:
    """Return what the figures depend on: machine, versions, and what else ran."""
    names = ("httpx", "aiohttp", "sqlalchemy", "psycopg")
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "load": [round(one, 2) for one in os.getloadavg()],
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in names},
    }


@dataclass(frozen=True, slots=True)
class Busy:
    """How long the processors have worked by now: all of them, of that ours, and in all."""

    worked: float
    ours: float
    in_all: float

    @classmethod
    def now(cls) -> "Busy":
        """Read it; ours are this process and those it waited for."""
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        idle = ticks[3] + ticks[4]
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        second = os.sysconf("SC_CLK_TCK")
        ours = sum(one.ru_utime + one.ru_stime for one in used)
        return cls((sum(ticks) - idle) / second, ours, sum(ticks) / second)

    def others_since(self, before: "Busy") -> float:
        """Return the share of the processors that others have had since *before*."""
        others = (self.worked - before.worked) - (self.ours - before.ours)
        return max(0.0, others / max(self.in_all - before.in_all, 0.01))


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")


def store(figures: Sequence[Figure], around: dict[str, Any], file: Path) -> None:
    """Write everything to *file*, for other programs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [asdict(one) | {"ratio": one.ratio()} for one in figures]
    file.write_text(json.dumps({"surroundings": around, "figures": rows}, indent=2))
