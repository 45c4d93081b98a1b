"""Is everything as it must be? What is wrong, or needs a person, in sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scheduler.config import Config, SecretKind
from scheduler.domain.timestamps import iso_time
from scheduler.storage import definitions
from scheduler.storage.database import Connection
from scheduler.storage.dialect import database_version
from scheduler.storage.gaps import list_gaps
from scheduler.storage.invariants import INVARIANTS, list_violations
from scheduler.storage.origin import what_is_not_noticed
from scheduler.storage.weaknesses import list_weaknesses
from scheduler.views.attention import list_needs
from scheduler.views.past_calendars import list_over
from scheduler.views.status import read_status
from scheduler.views.vanished import list_vanished


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationView:
    """An invariant that does not hold, and the rows that break it."""

    invariant: str
    sentence: str
    rows: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthView:
    """
    What is wrong: *violations* of invariants, and *complaints*, a sentence each.

    *invariant_count* is how many were looked at: none, where rows are lost. *exit_code* is what
    the command `doctor` ends with: 1 if something was found.
    """

    database: str
    database_version: str
    invariant_count: int
    violations: tuple[ViolationView, ...]
    complaints: tuple[str, ...]
    not_noticed: str
    exit_code: int

    @property
    def is_well(self) -> bool:
        """Tell whether nothing is wrong."""
        return self.exit_code == 0


def read_health(
    conn: Connection,
    *,
    now: datetime,
    config: Config | None = None,
    only_invariants: bool = False,
    since: datetime | None = None,
    config_error: str | None = None,
) -> HealthView:
    """Look for what is wrong, as of one moment; nothing is written."""
    database, version = database_version(conn)
    gaps = list_gaps(conn)
    can_be_read = not any(gap.rows_are_lost for gap in gaps)
    violations = (*_violations(conn), *_vanished(conn)) if can_be_read else ()
    complaints = (
        *(gap.sentence for gap in gaps),
        *(list_weaknesses(conn) if can_be_read else ()),
        *(() if only_invariants or config_error is None else [config_error]),
        *(_complaints(conn, config, now, since) if can_be_read and not only_invariants else ()),
    )
    return HealthView(
        database=database,
        database_version=version,
        invariant_count=len(INVARIANTS) + 1 if can_be_read else 0,
        violations=violations,
        complaints=complaints,
        not_noticed=what_is_not_noticed(conn),
        exit_code=1 if violations or complaints else 0,
    )


def _violations(conn: Connection) -> Iterator[ViolationView]:
    return (
        ViolationView(
            invariant=broken.invariant.name,
            sentence=broken.invariant.sentence,
            rows=tuple(map(_readable, broken.rows)),
        )
        for broken in list_violations(conn)
    )


def _readable(row: Mapping[str, object]) -> dict[str, str]:
    return {
        key: iso_time(value) if isinstance(value, datetime) else str(value)
        for key, value in row.items()
    }


def _vanished(conn: Connection) -> Iterator[ViolationView]:
    if vanished := list_vanished(conn):
        yield ViolationView(
            invariant="no_occurrence_without_a_row",
            sentence="what a schedule has passed has a run, or a row that says why not",
            rows=tuple(vanished[:_MOST_ROWS]),
        )


_MOST_ROWS = 20


def _complaints(
    conn: Connection, config: Config | None, now: datetime, since: datetime | None
) -> Iterator[str]:
    yield from (need.sentence for need in list_needs(read_status(conn, now=now, since=since)))
    yield from list_over(definitions.list_calendars(conn).values(), now)
    if config is not None:
        yield from _open_secrets(config)


def _open_secrets(config: Config) -> Iterator[str]:
    """Say which files of secrets others may read; `config check` says what else is wrong."""
    tokens = (account.token for account in config.accounts.values())
    told = (one for channel in config.channels.values() for one in channel.references)
    files = {
        Path(reference.name)
        for reference in (*tokens, *config.secrets.values(), *told)
        if reference.kind is SecretKind.FILE
    }
    for file in sorted(files):
        if file.exists() and file.stat().st_mode & 0o077:
            yield f"{file} holds a secret, and others may read it: chmod 600 it"
