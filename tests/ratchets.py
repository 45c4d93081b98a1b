"""
How large and how well told the code is, in figures that may only get better.

`python -m tests.ratchets` prints them and fails where one is beyond its limit. Whoever brings a
figure down takes the limit down with it.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import quantiles
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

LIMITS: Final[Mapping[str, int]] = {
    "lines of scheduler/": 79_854,
    "lines of the longest file": 640,
    "lines of the longest function": 60,
    "lines of a function, 95th percentile": 24,
    "public names without a docstring": 3,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = Function | ast.ClassDef


def measure(folder: Path) -> dict[str, tuple[int, str]]:
    """Return each figure of the Python files below *folder*, and which place it comes from."""
    files = {file: file.read_text() for file in sorted(folder.rglob("*.py"))}
    functions = []
    undocumented = []
    for file, text in files.items():
        tree = ast.parse(text)
        name = file.relative_to(folder)
        functions += [
            (_lines(node), f"{name}:{node.lineno} {node.name}")
            for node in ast.walk(tree)
            if isinstance(node, Function)
        ]
        undocumented += [
            f"{name}:{node.lineno} {node.name}"
            for node in _public_names(tree)
            if ast.get_docstring(node) is None
        ]
    lengths = [(text.count("\n"), str(file.relative_to(folder))) for file, text in files.items()]
    return dict(
        zip(
            LIMITS,
            (
                (sum(length for length, _ in lengths), f"{len(files)} files"),
                max(lengths),
                max(functions),
                (_percentile_95([length for length, _ in functions]), f"{len(functions)} of them"),
                (len(undocumented), ", ".join(undocumented[:5])),
            ),
            strict=True,
        )
    )


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _percentile_95(lengths: list[int]) -> int:
    return round(quantiles(lengths, n=20)[-1])


def _public_names(tree: ast.Module) -> Iterator[Documented]:
    """Yield the module's own functions and classes, and their methods, that others may use."""
    for node in tree.body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                methods = (inner for inner in node.body if isinstance(inner, Function))
                yield from (method for method in methods if not method.name.startswith("_"))


def main() -> int:
    """Print the figures beside their limits; return 1 if one is beyond."""
    beyond = 0
    for name, (figure, source) in measure(ROOT / "scheduler").items():
        is_beyond = figure > LIMITS[name]
        beyond += is_beyond
        mark = "  <- beyond" if is_beyond else ""
        print(f"{name:38} {figure:7,}  of {LIMITS[name]:7,}  {source}{mark}")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
