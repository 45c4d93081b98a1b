"""From a path and the environment to one validated configuration, or to every reason why not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from socket import gethostname

from scheduler.config.document import Document, parse_document, read_document
from scheduler.config.model import Config
from scheduler.config.overrides import PREFIX, Overridden, apply_overrides, strays
from scheduler.config.problems import Problem
from scheduler.config.reading import entry, read_model
from scheduler.config.references import (
    ageless,
    cyclic,
    dangling,
    outside_hosts,
    saved_nowhere,
    self_cancelling,
    settle_accounts,
    unlike_pauses,
)
from scheduler.config.settings import DatabaseSettings
from scheduler.config.timetables import (
    read_calendars,
    timetable_problems,
    timetable_specs,
    timetable_warnings,
)
from scheduler.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration, what in it is seldom meant, and the file it came from, if any."""

    config: Config
    warnings: tuple[str, ...]
    path: Path | None
    http_problems: tuple[str, ...] = ()
    """What is wrong with [http], where that was not to stop anything: it is left out then."""

    @property
    def file_id(self) -> str | None:
        """Return what the file's definitions are known by, HOST:PATH; None without a file."""
        # Not resolved: a file may be a link that each deployment sets anew.
        return None if self.path is None else f"{gethostname()}:{self.path.absolute()}"


def load_config(
    path: Path | None, environ: Mapping[str, str], *, even_without_http: bool = False
) -> LoadedConfig:
    """
    Read *path* (None: defaults and environment only) with the overrides of *environ*.

    Reads the files that it names, but no secret. Raises ConfigError with every problem;
    *even_without_http*, one with nothing wrong but [http] is returned without that.
    """
    try:
        return _load(path, environ, even_without_http)
    except RecursionError:
        source = str(path) if path else "the environment"
        raise ConfigError(source, ["it is nested too deeply"]) from None


def parse_config(content: bytes, source: str) -> LoadedConfig:
    """
    Read a document that is no file of this machine: relative paths in it lead nowhere.

    No environment is heeded. Raises ConfigError, which calls it *source*, with every problem.
    """
    try:
        overridden = apply_overrides(parse_document(content, source), {})
        return _judge(overridden, source=source, folder=_NOWHERE, even_without_http=False)
    except RecursionError:
        raise ConfigError(source, ["it is nested too deeply"]) from None


_NOWHERE = Path("/nowhere")


def _load(path: Path | None, environ: Mapping[str, str], even_without_http: bool) -> LoadedConfig:
    loaded = _judge(
        apply_overrides(read_document(path) if path else {}, environ),
        source=str(path) if path else "the environment",
        folder=path.absolute().parent if path else Path.cwd(),
        even_without_http=even_without_http,
    )
    return replace(loaded, warnings=(*strays(environ), *loaded.warnings), path=path)


def _judge(
    overridden: Overridden, *, source: str, folder: Path, even_without_http: bool
) -> LoadedConfig:
    document = settle_accounts(overridden.document)
    reading = read_model(document, folder)
    calendars, calendar_problems = read_calendars(reading)
    specs = timetable_specs(reading, calendars)

    problems = [
        *reading.problems,
        *dangling(document),
        *cyclic(document),
        *unlike_pauses(reading.config),
        *self_cancelling(reading.config),
        *ageless(reading.config),
        *outside_hosts(reading.config),
        *calendar_problems,
        *timetable_problems(specs),
    ]
    if problems or overridden.problems:
        ordered = [*overridden.problems, *_in_order(document, problems)]
        told = [_told(problem, overridden) for problem in ordered]
        if not even_without_http or any(problem.place[:1] != ("http",) for problem in ordered):
            raise ConfigError(source, told)
    else:
        told = []
    warnings = (*timetable_warnings(specs), *saved_nowhere(reading.config))
    return LoadedConfig(reading.config, warnings, None, tuple(told))


def load_database(path: Path | None, environ: Mapping[str, str]) -> DatabaseSettings:
    """
    Read only where the database is: for what a person must be able to do with a wrong file.

    Of a file that cannot be read as TOML nothing is needed if the environment has the URL.
    Raises ConfigError for what is wrong with either.
    """
    overridden = apply_overrides(_document_for_database(path, environ), environ)
    document = {key: table for key, table in overridden.document.items() if key == "database"}
    reading = read_model(document, path.absolute().parent if path else Path.cwd())
    if reading.problems:
        sentences = [_told(problem, overridden) for problem in reading.problems]
        raise ConfigError(str(path) if path else "the environment", sentences)
    return reading.config.database


def _document_for_database(path: Path | None, environ: Mapping[str, str]) -> Document:
    try:
        return read_document(path) if path else {}
    except ConfigError as unreadable:
        if "url" in entry(apply_overrides({}, environ).document, ("database",)):
            return {}
        way_out = f"set {PREFIX}DATABASE__URL to look, pause and cancel without this file"
        raise ConfigError(unreadable.source, [*unreadable.problems, way_out]) from None


def _in_order(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    """Return *problems* in the order of the document, so that those of one table stand together."""
    sections = {section: index for index, section in enumerate(document)}
    names = {
        (section, name): index
        for section, table in document.items()
        if isinstance(table, dict)
        for index, name in enumerate(table)
    }

    def position(problem: Problem) -> tuple[int, int]:
        section, name = (*problem.place, "", "")[:2]
        return sections.get(str(section), -1), names.get((str(section), str(name)), -1)

    return sorted(problems, key=position)


def _told(problem: Problem, overridden: Overridden) -> str:
    variable = overridden.variable_at(problem.place)
    return f"{problem} (set by {variable})" if variable else str(problem)
