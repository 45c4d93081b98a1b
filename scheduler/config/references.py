"""What one table says of another: names that lead nowhere, pauses that do not go together."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.config.definitions import RetryKeys
from scheduler.config.document import Document
from scheduler.config.model import Config
from scheduler.config.problems import Problem, path
from scheduler.config.reading import entry
from scheduler.config.settings import Defaults, check_pauses
from scheduler.config.shape import Place
from scheduler.domain.nearest import did_you_mean
from scheduler.domain.request import secret_names


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
        yield from _secret_problems(document, place, schedule)


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
            ring = [str(one) for one in (*walked[walked.index(here) :], here)]
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


def self_cancelling(config: Config) -> Iterator[Problem]:
    """Yield the schedules with confirm_cancel whose batch is split into parts."""
    for name, schedule in config.schedules.items():
        batch = config.batches.get(schedule.batch)
        if schedule.confirm_cancel and batch and batch.max_inputs_per_trigger is not None:
            yield Problem(
                ("schedules", name, "confirm_cancel"),
                f"batch {schedule.batch} has max_inputs_per_trigger, and each part would cancel"
                ' the one before it: write overlap = "replace" instead',
            )


def _pause_problems(place: Place, levels: tuple[RetryKeys | Defaults, ...]) -> Iterator[Problem]:
    if not (levels[0].first_pause or levels[0].longest_pause):
        return
    first = next(level.first_pause for level in levels if level.first_pause)
    longest = next(level.longest_pause for level in levels if level.longest_pause)
    try:
        check_pauses(first, longest)
    except ValueError as error:
        yield Problem(place, f"its longest_pause, {error}: set both")


def missing_files(config: Config) -> Iterator[str]:
    """Yield a warning for every batch whose file, or files by a pattern, are not there now."""
    for name, batch in config.batches.items():
        if batch.file is not None and not any(_files(batch.file)):
            yield (
                f"batches.{name}.file: there is no file {batch.file} now:"
                " runs that are due before it is there will fail"
            )


def _files(pattern: str) -> Iterator[Path]:
    place = Path(pattern)
    return (found for found in place.parent.glob(place.name) if found.is_file())


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
    known = entry(document, ("secrets",))
    for key in ("notify", "deliver"):
        if isinstance(keys.get(key), dict):
            text = json.dumps(keys[key], default=str)
            for name in sorted(secret_names([(key, text)]) - set(known)):
                sentence = f"there is no secret {name} in [secrets]{did_you_mean(name, known)}"
                yield Problem((*place, key), sentence)


def _unknown(document: Document, section: str, name: object, place: Place) -> Iterator[Problem]:
    known = entry(document, (section,))
    if isinstance(name, str) and name not in known:
        there_is = f"there is no [{path((section, name))}]" if name else "must not be empty"
        yield Problem(place, f"{there_is}{did_you_mean(name, known)}")


def _tables(document: Document, section: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in entry(document, (section,)).items():
        if isinstance(table, dict):
            yield name, table
