"""Definitions that were imported, by what makes each one of a kind, and their TOML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import tomlkit
from tomlkit import TOMLDocument

from scheduler.tools.crontab_import.crontab_file import Job
from scheduler.tools.toml_item import toml_item

_DEFAULT_BASE: Final = "https://api.brightdata.com"
_VARIABLE: Final = "DCA_API_TOKEN"


@dataclass(slots=True)
class ImportedDefinitions:
    """
    What was found so far: accounts by token and address, batches by their content.

    Tokens are keys here only to tell accounts apart: nothing shows them.
    """

    account: str
    timezone: str | None
    accounts: dict[tuple[str | None, str], str] = field(default_factory=dict, repr=False)
    collectors: dict[tuple[str, str], str] = field(default_factory=dict)
    batches: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    schedules: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def warn(self, job: Job, sentence: str) -> None:
        """Keep a sentence for the reader, with the line that it is about."""
        self.warnings.append(f"line {job.line}: {sentence}")


def token_variable(made: ImportedDefinitions, account: str) -> str:
    """Return the environment's variable that is to hold an account's token."""
    index = list(made.accounts.values()).index(account)
    return _VARIABLE if index == 0 else f"{_VARIABLE}_{index + 1}"


def definitions_text(made: ImportedDefinitions) -> str:
    """Write the definitions as a configuration; no token and no credential is in it."""
    document = tomlkit.document()
    accounts = {
        name: {
            "token": {"env": token_variable(made, name)},
            **({} if base_url == _DEFAULT_BASE else {"base_url": base_url}),
        }
        for (_, base_url), name in made.accounts.items()
    }
    collectors = {
        name: {"id": collector_id, **({"account": account} if len(accounts) > 1 else {})}
        for (account, collector_id), name in made.collectors.items()
    }
    if made.secrets:
        secrets = tomlkit.table()
        for name, variable in made.secrets.items():
            secrets.add(name, toml_item({"env": variable}))
        document.add("secrets", secrets)
    _add_tables(document, "accounts", accounts)
    _add_tables(document, "collectors", collectors)
    _add_tables(document, "batches", dict(made.batches.values()))
    _add_tables(
        document,
        "schedules",
        {name: keys for name, (_, keys) in made.schedules.items()},
        comments={name: origin for name, (origin, _) in made.schedules.items()},
    )
    return tomlkit.dumps(document)


def _add_tables(
    document: TOMLDocument,
    section: str,
    tables: Mapping[str, Mapping[str, Any]],
    *,
    comments: Mapping[str, str] | None = None,
) -> None:
    if not tables:
        return
    parent = tomlkit.table(is_super_table=True)
    for name, keys in tables.items():
        table = tomlkit.table()
        if comments is not None:
            table.add(tomlkit.comment(f"of the crontab's {comments[name]}"))
        for key, value in keys.items():
            table.add(key, toml_item(value))
        parent.add(name, table)
    document.add(section, parent)
