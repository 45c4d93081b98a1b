"""`licenses`: what is installed beside this program, and under which terms."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

import click

from scheduler.cli.lazy import Command
from scheduler.cli.options import json_option
from scheduler.cli.render import print_listing

_SELF: Final = "dca-scheduler"
_REQUIRED: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPackage:
    """A package as its own metadata tells it."""

    package: str
    version: str
    license: str


@click.command("licenses", cls=Command)
@json_option
def licenses(as_json: bool) -> None:
    """
    List what is installed with it, and the licenses.

    As the packages' own metadata says; those that nothing of ours asks for are left out.
    """
    found = sorted(list_installed(), key=lambda one: one.package)
    print_listing(found, ("package", "version", "license"), empty="nothing", as_json=as_json)


def list_installed() -> Iterator[InstalledPackage]:
    """Yield this program and all that it needs, as far as it is installed."""
    seen: set[tuple[str, str]] = set()
    named: set[str] = set()
    waiting = [(_SELF, extra) for extra in ("", "postgres", "apprise", "objectstore")]
    while waiting:
        name, extra = waiting.pop()
        name = re.sub(r"[-_.]+", "-", name).lower()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # of an extra, or of another platform
        if name not in named:
            named.add(name)
            yield InstalledPackage(package=name, version=found.version, license=_license_of(found))
        waiting += _required(found, extra)


def _required(found: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Yield what it requires with *extra* (empty: without one), and which extras of that."""
    for text in found.requires or ():
        of_extra = re.search(r"extra == .([\w-]+)", text)
        required = _REQUIRED.match(text)
        if required is not None and (of_extra[1] if of_extra else "") == extra:
            yield required[1], ""
            yield from ((required[1], one.strip()) for one in (required[2] or "").split(","))


def _license_of(found: Distribution) -> str:
    told = found.metadata
    if expression := told.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in told.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    first_line = str((told.get_all("License") or [""])[0]).strip().partition("\n")[0]
    return ", ".join(classifiers) or first_line or "see its files"
