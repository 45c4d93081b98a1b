"""What one table says of another: names that lead nowhere, pauses that do not go together."""

import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from scheduler.config.definitions import RetryKeys
from scheduler.config.document import Document
from scheduler.config.model import Config
from scheduler.config.notice_settings import names_of
from scheduler.config.problems import Problem, path
from scheduler.config.reading import entry
from scheduler.config.settings import Defaults, check_pauses
from scheduler.config.shape import Place
from scheduler.domain.request import secret_names
from scheduler.domain.suggestions import did_you_mean


def settle_accounts(document: Document) -> Document:
    """Return *document* with the account filled into collectors that leave it out, if it is one."""
    accounts = list(entry(document, ("accounts",)))
    collectors = document.get("collectors")
    if len(accounts) != 1 or not isinstance(collectors, dict):
        return document
    settled = {
        name: {"account": accounts[0], **each} if isinstance(each, dict) else each
        for name, each in collectors.items()
    }
    return {**document, "collectors": settled}


def dangling(document: Document) -> Iterator[Problem]:
    """Yield every name in *document* that no table has, whatever else is wrong with it."""
    for name, collector in _tables(document, "collectors"):
        place: Place = ("collectors", name)
        yield from _account_problems(document, place, collector)
        yield from _secret_problems(document, place, collector)
    for name, schedule in _tables(document, "schedules"):
        place = ("schedules", name)
        yield from _unknown(
            document, "collectors", schedule.get("collector"), (*place, "collector")
        )
        yield from _unknown(document, "batches", schedule.get("batch"), (*place, "batch"))
        exclude = schedule.get("exclude")
        for index, calendar in enumerate(exclude if isinstance(exclude, list) else ()):
            yield from _unknown(document, "calendars", calendar, (*place, "exclude", index))
        yield from _unknown(document, "schedules", schedule.get("after"), (*place, "after"))
        yield from _unknown(document, "channels", schedule.get("on_end"), (*place, "on_end"))
        yield from _secret_problems(document, place, schedule)
    for name, rule in _tables(document, "notices"):
        for index, channel in enumerate(names_of(rule.get("channels"))):
            yield from _unknown(document, "channels", channel, ("notices", name, "channels", index))
    yield from _budget_problems(document)


def outside_hosts(config: Config) -> Iterator[Problem]:
    """Yield the receivers that are written out and that [limits] hosts does not have."""
    receivers: list[tuple[Place, object]] = [
        (("channels", name, "url"), channel.url) for name, channel in config.channels.items()
    ]
    if config.heartbeat is not None:
        receivers.append((("heartbeat", "url"), config.heartbeat.url))
    for place, url in receivers:
        if isinstance(url, str) and not config.limits.allows(url):
            yield Problem(place, "its host is not among [limits] hosts: add it there")


def _budget_problems(document: Document) -> Iterator[Problem]:
    """Yield the budgets of what no table has, and those in money where a price is missing."""
    unpriced = [
        name for name, keys in _tables(document, "accounts") if "price_per_thousand" not in keys
    ]
    for name, budget in _tables(document, "budgets"):
        kind, colon, whose = str(budget.get("scope", "all")).partition(":")
        if colon and f"{kind}s" in ("accounts", "collectors", "schedules"):
            yield from _unknown(document, f"{kind}s", whose, ("budgets", name, "scope"))
        if "money" in budget and unpriced:
            which = ", ".join(path(("accounts", account)) for account in unpriced)
            sentence = f"needs price_per_thousand in [{which}]: write it there"
            yield Problem(("budgets", name, "money"), sentence)


def cyclic(document: Document) -> Iterator[Problem]:
    """Yield each ring of schedules that come after one another: none of them would ever be due."""
    after = {name: keys.get("after") for name, keys in _tables(document, "schedules")}
    settled: set[object] = set()
    for name in after:
        walked: list[object] = []
        here: object = name
        while isinstance(here, str) and here in after and here not in settled:
            settled.add(here)
            walked.append(here)
            here = after[here]
        if here in walked:
            ring = [str(name) for name in (*walked[walked.index(here) :], here)]
            yield Problem(
                ("schedules", ring[0], "after"),
                f"comes after itself ({' after '.join(ring)}): none of these would ever be due",
            )


def unlike_pauses(config: Config) -> Iterator[Problem]:
    """Yield the collectors and schedules whose first pause is longer than the longest in force."""
    for name, collector in config.collectors.items():
        yield from _pause_problems(("collectors", name), (collector, config.defaults))
    for name, schedule in config.schedules.items():
        collector_keys = config.collectors.get(schedule.collector, config.defaults)
        levels = (schedule, collector_keys, config.defaults)
        yield from _pause_problems(("schedules", name), levels)


def saved_nowhere(config: Config) -> Iterator[str]:
    """Yield what is to be saved where this machine has no means for it: another daemon may."""
    lacking = {
        False: "there is no [results] folder, so nothing is saved here"
        if config.results.folder is None
        else None,
        True: None
        if find_spec("obstore")
        else "object stores need a package, pip install obstore, so nothing"
        " is saved there from here",
    }
    for section, tables in (("collectors", config.collectors), ("schedules", config.schedules)):
        for is_store, why in lacking.items():
            names = [
                name
                for name, table in tables.items()
                if table.save_to is not None and ("://" in table.save_to) is is_store
            ]
            if names and why is not None:
                yield f"{path((section, names[0]))}: save_to: {why}"


def self_cancelling(config: Config) -> Iterator[Problem]:
    """Yield the schedules with confirm_cancel whose batch is split into chunks."""
    for name, schedule in config.schedules.items():
        batch = config.batches.get(schedule.batch)
        if schedule.confirm_cancel and batch and batch.max_inputs_per_trigger is not None:
            yield Problem(
                ("schedules", name, "confirm_cancel"),
                f"batch {schedule.batch} has max_inputs_per_trigger, and each chunk would cancel"
                ' the one before it: write overlap = "replace" instead',
            )


def ageless(config: Config) -> Iterator[Problem]:
    """Yield the schedules with batch_max_age whose batch is no file that could be too old."""
    for name, schedule in config.schedules.items():
        batch = config.batches.get(schedule.batch)
        if schedule.batch_max_age is not None and batch and batch.file is None:
            yield Problem(
                ("schedules", name, "batch_max_age"),
                f"batch {schedule.batch} has its inputs in this file, and none of its own that"
                " could be too old: leave it out",
            )


def _pause_problems(place: Place, levels: tuple[RetryKeys | Defaults, ...]) -> Iterator[Problem]:
    if not (levels[0].backoff_initial or levels[0].backoff_max):
        return
    first = next(level.backoff_initial for level in levels if level.backoff_initial)
    longest = next(level.backoff_max for level in levels if level.backoff_max)
    try:
        check_pauses(first, longest)
    except ValueError as error:
        yield Problem(place, f"its backoff_max, {error}: set both")


def _account_problems(
    document: Document, place: Place, collector: Mapping[str, Any]
) -> Iterator[Problem]:
    account = collector.get("account") or None
    accounts = list(entry(document, ("accounts",)))
    if account is not None:
        yield from _unknown(document, "accounts", account, (*place, "account"))
    elif not accounts:
        yield Problem(
            (*place, "account"), "there is no [accounts.NAME] that it could use: write one"
        )
    elif len(accounts) > 1:
        yield Problem((*place, "account"), f"is missing: name one of {', '.join(accounts)}")


def _secret_problems(
    document: Document, place: Place, keys: Mapping[str, Any]
) -> Iterator[Problem]:
    secrets = entry(document, ("secrets",))
    for key in ("notify", "deliver"):
        if isinstance(keys.get(key), dict):
            text = json.dumps(keys[key], default=str)
            for name in sorted(secret_names([(key, text)]) - set(secrets)):
                sentence = f"there is no secret {name} in [secrets]{did_you_mean(name, secrets)}"
                yield Problem((*place, key), sentence)


def _unknown(document: Document, section: str, name: object, place: Place) -> Iterator[Problem]:
    names = entry(document, (section,))
    if isinstance(name, str) and name not in names:
        there_is = f"there is no [{path((section, name))}]" if name else "must not be empty"
        yield Problem(place, f"{there_is}{did_you_mean(name, names)}")


def _tables(document: Document, section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in entry(document, (section,)).items():
        if isinstance(table, dict):
            yield name, table
