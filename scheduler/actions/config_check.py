"""What a right file names beside itself and cannot be read now: tokens, secrets, batches."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from scheduler.actions.definition_columns import definition_rows
from scheduler.actions.input_files import input_files
from scheduler.config import Config, SecretKind, SecretReference
from scheduler.domain.batch import DueTime
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import ConfigError, InputsError, InvalidInput
from scheduler.domain.records import Batch, Calendar
from scheduler.domain.timestamps import display_time
from scheduler.inputs import InputFiles, NoSpool, find_files, find_written_at, iter_bodies
from scheduler.views.past_calendars import list_over


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence on what the file names; *prevents* runs that are due before it is mended."""

    sentence: str
    prevents: bool = False


def check_named(config: Config, environ: Mapping[str, str], *, now: datetime) -> Iterator[Finding]:
    """
    Yield what each secret and each batch that cannot be used, or hardly is meant, lacks.

    Reads every such file through. What systemd gives to the daemon alone is left out. A secret
    may be there for the daemon only; a batch that cannot be read prevents its runs.
    """
    yield from map(Finding, _secret_warnings(_secrets(config), environ))
    yield from check_batches(config, environ, now=now)
    rows = dict(definition_rows(config))["calendars"]
    calendars = [Calendar(name=name, **columns) for name, columns in rows.items()]
    yield from map(Finding, list_over(calendars, now))


def unset_variables(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each secret of the environment that lacks: no file is read."""
    secrets = _secrets(config)
    named = {place: secrets[place] for place in secrets if secrets[place].kind is SecretKind.ENV}
    return _secret_warnings(named, environ)


def _secrets(config: Config) -> dict[str, SecretReference]:
    """Return what the file names as secret, by its place."""
    tokens = {f"accounts.{name}.token": account.token for name, account in config.accounts.items()}
    secrets = {f"secrets.{name}": secret for name, secret in config.secrets.items()}
    told = {
        f"channels.{name}": reference
        for name, channel in config.channels.items()
        for reference in channel.references
    }
    if config.heartbeat is not None and isinstance(config.heartbeat.url, SecretReference):
        told["heartbeat.url"] = config.heartbeat.url
    return tokens | secrets | told


def _secret_warnings(
    secrets: Mapping[str, SecretReference], environ: Mapping[str, str]
) -> Iterator[str]:
    for place, reference in secrets.items():
        if reference.kind is SecretKind.CREDENTIAL and "CREDENTIALS_DIRECTORY" not in environ:
            continue
        read = reference.read_token if place.startswith("accounts.") else reference.read
        try:
            read(environ)
        except ConfigError as error:
            yield f"{place}: {', '.join(error.problems)}"


def check_batches(
    config: Config, environ: Mapping[str, str], *, now: datetime
) -> Iterator[Finding]:
    """Yield what is wrong with the batches' inputs as they are now, and what is doubtful."""
    files = input_files(config, environ)
    for name, columns in dict(definition_rows(config))["batches"].items():
        batch = Batch(name=name, **columns)
        if batch.file is not None and batch.max_change_percent is None:
            yield Finding(
                f"batches.{name}: a file that grows by mistake is paid for: say max_change_percent,"
                " such as 50"
            )
        place = f"batches.{name}.{'inputs' if batch.file is None else 'file'}"
        for doubt in _doubts(batch, DueTime(now, "UTC"), files):
            yield Finding(f"{place}: {doubt.sentence}", doubt.prevents)
    yield from map(Finding, _too_old(config, now))
    for name, schedule in config.schedules.items():
        canary = config.batches[schedule.batch].canary if schedule.batch in config.batches else None
        if canary is not None and (schedule.min_rows or 0) > 1:
            yield Finding(
                f"schedules.{name}.min_rows: its canary of {canary} inputs must bring so many, too:"
                " min_rows_per_input fits a large and a small number of inputs"
            )


def _too_old(config: Config, now: datetime) -> Iterator[str]:
    """Yield the schedules that would be skipped now, for the age of their batch's file."""
    for name, schedule in config.schedules.items():
        batch = config.batches.get(schedule.batch)
        if schedule.batch_max_age is None or batch is None or batch.file is None:
            continue
        try:
            written_at = find_written_at(batch.file)
        except (InputsError, OSError):
            continue  # that is told of the batch
        if written_at and now - written_at > parse_duration(schedule.batch_max_age):
            yield (
                f"schedules.{name}.batch_max_age: {batch.file} was last written at"
                f" {display_time(written_at)}: as long as that is so, it is skipped"
            )


def missing_files(config: Config) -> Iterator[str]:
    """Yield a warning for every batch whose files are not there now; none of them is read."""
    for name, batch in config.batches.items():
        try:
            is_missing = batch.file is not None and not find_files(batch.file)[0].exists()
        except InputsError:
            is_missing = True
        if is_missing:
            yield f"batches.{name}.file: there is no file {batch.file} now"


def _doubts(batch: Batch, due: DueTime, files: InputFiles) -> list[Finding]:
    """Read *batch* through; return what is doubtful in it, and last why it cannot be sent."""
    doubts: list[str] = []
    try:
        bodies = iter_bodies(batch, due, files=files, warn=doubts.append, spool=NoSpool())
        deque(bodies, maxlen=0)
    except (InputsError, InvalidInput) as error:
        why = f"{error}: runs that are due before that is mended will fail"
        return [*map(Finding, doubts), Finding(why, prevents=True)]
    return [*map(Finding, doubts)]
