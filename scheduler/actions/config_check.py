"""What a right file names beside itself and cannot be read now: tokens, secrets, batches."""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime

from scheduler.actions.definition_rows import definition_rows
from scheduler.config import Config, SecretKind
from scheduler.domain.batch import DueTime
from scheduler.domain.errors import ConfigError, InputsError
from scheduler.domain.records import Batch
from scheduler.inputs import find_files, iter_sent


def check_named(config: Config, environ: Mapping[str, str], *, now: datetime) -> Iterator[str]:
    """
    Yield a warning for each secret and each batch's file that is there and cannot be used.

    Reads every such file through. What systemd gives to the daemon alone is left out.
    """
    yield from _secret_warnings(config, environ)
    yield from _batch_warnings(config, now)


def _secret_warnings(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    tokens = {f"accounts.{name}.token": one.token for name, one in config.accounts.items()}
    secrets = {f"secrets.{name}": one for name, one in config.secrets.items()}
    for place, reference in (tokens | secrets).items():
        if reference.kind is SecretKind.CREDENTIAL and "CREDENTIALS_DIRECTORY" not in environ:
            continue
        read = reference.read_token if place in tokens else reference.read
        try:
            read(environ)
        except ConfigError as error:
            yield f"{place}: {', '.join(error.problems)}"


def _batch_warnings(config: Config, now: datetime) -> Iterator[str]:
    for name, columns in dict(definition_rows(config))["batches"].items():
        batch = Batch(name=name, **columns)
        if batch.file is None or not _is_there(batch.file):
            continue
        try:
            deque(iter_sent(batch, DueTime(now, "UTC")), maxlen=0)
        except InputsError as error:
            yield f"batches.{name}.file: {error}"


def _is_there(file: str) -> bool:
    try:
        return all(path.is_file() for path in find_files(file))
    except InputsError:
        return False
