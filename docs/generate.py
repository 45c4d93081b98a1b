"""The reference pages that are made of the code: commands, keys, reasons, metrics, log events."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from scheduler.cli.licenses import list_installed
from scheduler.cli.main import root
from scheduler.cli.manual import as_markdown, list_pages
from scheduler.domain.records import Reason, RunState
from scheduler.views.metrics.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[1]
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def write_reference(folder: Path) -> None:
    """Write every page into *folder*."""
    folder.mkdir(exist_ok=True)
    pages = {
        "commands": as_markdown(list_pages(root)),
        "configuration": configuration_page(),
        "reasons": reasons_page(),
        "metrics-list": metrics_page(),
        "log-events": log_events_page(),
        "licenses": licenses_page(),
        "more": more_page(folder.parent),
    }
    for name, text in pages.items():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def configuration_page() -> str:
    """Return the example, which names every key with its default."""
    example = (ROOT / "config.example.toml").read_text()
    return f"# Configuration\n\nEvery key, with its default.\n\n```toml\n{example}```\n"


def reasons_page() -> str:
    """Return the states and reasons; what the code says of each stands behind it."""
    said = dict(_comments_of(ROOT / "scheduler/domain/records.py", "Reason"))
    states = ", ".join(f"`{state.value}`" for state in RunState)
    rows = [f"| `{reason.value}` | {said.get(reason.name, '')} |" for reason in Reason]
    table = "\n".join(["| reason | |", "| --- | --- |", *rows])
    return (
        f"# States and reasons\n\nA run's states are {states}; [the promise](../promise.md) says"
        f" what each means, and how a run moves.\n\n{table}\n"
    )


def _comments_of(file: Path, name: str) -> Iterator[tuple[str, str]]:
    text = file.read_text()
    body = re.search(rf"^class {name}\(.*?(?=^class |\Z)", text, re.M | re.S)
    for line in body[0].splitlines() if body else []:
        found = re.match(r'    ([A-Z_]+) = "\w+"(?:  # (.*))?', line)
        if found:
            yield found[1], found[2] or ""


def metrics_page() -> str:
    """Return every metric."""
    rows = [
        f"| `{metric.exposed}` | {metric.kind.value} | {', '.join(metric.labels)} | {metric.help} |"
        for metric in CATALOGUE
    ]
    table = "\n".join(["| metric | kind | labels | |", "| --- | --- | --- | --- |", *rows])
    return f"# List of metrics\n\n[Metrics](../metrics.md) says how to get at them.\n\n{table}\n"


def more_page(docs: Path) -> str:
    """Return links to the pages that the index does not name yet."""
    index = (docs / "index.md").read_text().split()
    pages = (page.relative_to(docs).with_suffix("") for page in docs.glob("**/*.md"))
    named = sorted(str(page) for page in pages if page.parts[0] not in ("reference", "index"))
    left = "\n".join(f"/{name}" for name in named if name not in index)
    return f"# More pages\n\n```{{toctree}}\n{left}\n```\n"


def licenses_page() -> str:
    """Return what is installed beside the program, here."""
    found = sorted(list_installed(), key=lambda one: one.package)
    rows = [f"| {one.package} | {one.version} | {one.license} |" for one in found]
    table = "\n".join(["| package | version | license |", "| --- | --- | --- |", *rows])
    return f"# Licenses\n\nWhat `dca-scheduler licenses` lists.\n\n{table}\n"


def log_events_page() -> str:
    """Return what may be logged, where it is, and the fields that come with it."""
    events: defaultdict[str, set[str]] = defaultdict(set)
    levels: defaultdict[str, set[str]] = defaultdict(set)
    for file in sorted((ROOT / "scheduler").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            for name, level, fields in _logged(node):
                events[name] |= fields
                levels[name].add(level)
    rows = [
        f"| `{name}` | {', '.join(sorted(levels[name]))} | {', '.join(sorted(events[name]))} |"
        for name in sorted(events)
    ]
    states = ", ".join(f"`run_{state.value}`" for state in RunState)
    table = "\n".join(["| event | level | fields |", "| --- | --- | --- |", *rows])
    return (
        "# Log events\n\nEach line has `event`, `level` and `timestamp`. A run's moves are"
        f" {states}, with what `runs show` tells of each.\n\n{table}\n"
    )


def _logged(node: ast.AST) -> Iterator[tuple[str, str, set[str]]]:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="log"), attr=level),
            args=[ast.Constant(value=str(name)), *_],
            keywords=keywords,
        ) if level in LEVELS:
            yield name, level, {word.arg for word in keywords if word.arg is not None}
