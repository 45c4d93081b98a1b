"""Which files the batches of a configuration and its database may be read from."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from scheduler.config import Config, SecretKind
from scheduler.inputs import InputFiles


def input_files(config: Config, environ: Mapping[str, str]) -> InputFiles:
    """
    Return what *config* allows: below `inputs_root`, and the folders of the batches that it names.

    Never where it has a token or a secret, nor what systemd gives as credentials: whoever may
    write a row, or put a link into a folder of inputs, may not have them sent.
    """
    named = [batch.file for batch in config.batches.values() if batch.file is not None]
    roots = {Path(config.daemon.inputs_root).resolve(), *map(_folder_of, named)}
    return InputFiles(tuple(sorted(roots)), tuple(_secrets(config, environ)))


def _folder_of(pattern: str) -> Path:
    """Return the folder in which the search for *pattern* begins; of a file in `/` only itself."""
    path = Path(pattern)
    folder = next(
        folder for folder in path.parents if not any(sign in str(folder) for sign in "*?[")
    )
    return (path if folder == Path(path.anchor) else folder).resolve()


def _secrets(config: Config, environ: Mapping[str, str]) -> Iterator[Path]:
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        yield Path(directory)
    accounts = (account.token for account in config.accounts.values())
    for reference in (*accounts, *config.secrets.values()):
        if reference.kind is SecretKind.FILE:
            yield Path(reference.name)
