"""A crontab's triggers of this API as definitions: TOML that `config check` takes."""

import re
from dataclasses import dataclass
from typing import Any, Final

from scheduler.domain.errors import InputsError, InvalidInput
from scheduler.domain.timetable import TimetableSpec, build_timetable, find_zone
from scheduler.inputs.csv_table import read_csv
from scheduler.tools.crontab_import.crontab_file import Job, read_crontab
from scheduler.tools.crontab_import.imported_definitions import (
    ImportedDefinitions,
    definitions_text,
    token_variable,
)
from scheduler.tools.crontab_import.shell_line import Call, read_command, told_program
from scheduler.tools.crontab_import.trigger_call import (
    FileBody,
    TextBody,
    Trigger,
    read_inline_json,
    read_trigger,
)

_EXTENSION: Final = re.compile(r"(?<![A-Za-z])L(?![A-Za-z])|[0-9]L|LW|#", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The *text* of the definitions, how many schedules they are, and sentences for the reader."""

    text: str
    schedules: tuple[str, ...]
    warnings: tuple[str, ...]


def import_crontab(
    text: str,
    *,
    account: str = "main",
    timezone: str | None = None,
    has_users: bool | None = None,
) -> Imported:
    """
    Read a crontab and return what of it triggers this API; nothing is run and nothing is stored.

    *timezone* is the one in which cron read its times, where the file does not say so. No token
    and no credential is in the answer. Raises InvalidInput for a zone that is not there.
    """
    if timezone is not None:
        find_zone(timezone)
    crontab = read_crontab(text, has_users=has_users)
    made = ImportedDefinitions(account=account, timezone=timezone)
    made.warnings += crontab.warnings
    if crontab.has_users and has_users is None:
        made.warnings.append("the sixth column was read as users: --user-crontab says otherwise")
    for job in crontab.jobs:
        _import_job(made, job)
    _warn_as_a_whole(made)
    return Imported(
        text=definitions_text(made), schedules=tuple(made.schedules), warnings=tuple(made.warnings)
    )


def _import_job(made: ImportedDefinitions, job: Job) -> None:
    is_ours = "/dca/trigger" in f"{job.command}{job.stdin or ''}"
    if is_ours:
        for sentence in job.warnings:
            made.warn(job, sentence)
    try:
        command = read_command(job.command, variables=job.variables, stdin=job.stdin)
    except InvalidInput as error:
        made.warn(job, f"{'cannot be' if is_ours else 'is not'} imported: {error}")
        return
    if is_ours:
        for sentence in command.warnings:
            made.warn(job, sentence)
    are_triggers = [_read_call(made, job, call) for call in command.calls]
    if not any(are_triggers):
        made.warn(job, f"{_program(job)} is no trigger of this API: not imported")
    elif not all(are_triggers):
        made.warn(job, "of its calls, only the triggers of this API are imported")


def _read_call(made: ImportedDefinitions, job: Job, call: Call) -> bool:
    """Add what *call* triggers; False when it is no trigger of this API."""
    try:
        trigger = read_trigger(call, home=job.variables.get("HOME"))
        if trigger is None:
            return False
        _add(made, job, trigger, call.condition)
    except (InvalidInput, InputsError) as error:
        made.warn(job, f"cannot be imported: {error}")
    return True


def _add(made: ImportedDefinitions, job: Job, trigger: Trigger, condition: str | None) -> None:
    name = _unused(_schedule_name(job, trigger), made.schedules)
    timetable = _timetable(made, job, name)
    content = _batch(trigger)
    for sentence in trigger.warnings:
        made.warn(job, sentence)
    if isinstance(trigger.body, FileBody) and not trigger.body.is_certain:
        made.warn(
            job,
            f"{trigger.body.path} was relative to the home of cron's user: here it is relative to"
            " the configuration's folder",
        )
    origin = f"line {job.line}"
    if condition is not None:
        origin += f", which asks `{condition}` before: enabled = true sends it each time"
        made.warn(
            job,
            f"`{condition}` decides whether the call is made, which is not imported:"
            f" schedule {name} has enabled = false",
        )
    made.schedules[name] = (
        origin,
        {
            "collector": _collector(made, trigger),
            "batch": _shared_batch(made, name, content),
            **timetable,
            **trigger.options,
            **({} if condition is None else {"enabled": False}),
        },
    )
    for secret in trigger.secrets:
        made.secrets[secret] = re.sub(r"[^A-Z0-9_]", "_", secret.upper())


def _timetable(made: ImportedDefinitions, job: Job, name: str) -> dict[str, Any]:
    timezone = job.timezone or made.timezone
    if "~" in job.when:
        raise InvalidInput(
            f"{job.when!r} has a random time, `~`, which is drawn anew by each cron: write H"
        )
    spec = TimetableSpec(cron=job.when, timezone=timezone or "UTC")
    build_timetable(spec, name=name)
    if _EXTENSION.search(job.when):
        made.warn(job, f"{job.when!r}: Debian cron does not know L and #; here they count")
    return {"cron": job.when, **({"timezone": timezone} if timezone else {})}


def _batch(trigger: Trigger) -> dict[str, Any]:
    match trigger.body:
        case FileBody(path=path):
            content: dict[str, Any] = {"file": path}
        case TextBody(text=text, is_csv=True):
            content = {"inputs": read_csv(text, "its CSV")}
        case TextBody(text=text):
            content = {"inputs": read_inline_json(text)}
    if not content.get("inputs", [content]):
        raise InvalidInput("it sends no inputs, and a batch needs at least one")
    return content if trigger.send_as == "json" else {**content, "send_as": trigger.send_as.value}


def _shared_batch(made: ImportedDefinitions, name: str, content: dict[str, Any]) -> str:
    key = repr(content)
    if key not in made.batches:
        taken = {batch for batch, _ in made.batches.values()}
        made.batches[key] = (_unused(name, taken), content)
    return made.batches[key][0]


def _collector(made: ImportedDefinitions, trigger: Trigger) -> str:
    key = (_account(made, trigger), trigger.collector_id)
    if key not in made.collectors:
        made.collectors[key] = _unused(trigger.collector_id, set(made.collectors.values()))
    return made.collectors[key]


def _account(made: ImportedDefinitions, trigger: Trigger) -> str:
    """Return the account of its token; a trigger whose token is not known may be of any."""
    key = (trigger.token, trigger.base_url)
    alike = [key for key in made.accounts if key[1] == trigger.base_url]
    if trigger.token is None and alike:
        return made.accounts[alike[0]]
    if alike == [(None, trigger.base_url)]:
        made.accounts[key] = made.accounts.pop(alike[0])
    count = len(made.accounts) + 1
    return made.accounts.setdefault(key, made.account if count == 1 else f"{made.account}-{count}")


def _schedule_name(job: Job, trigger: Trigger) -> str:
    """Call it what its trigger, else the comment above it, else its collector is called."""
    name = re.sub(r"\{due_at:[^}]*\}", "", str(trigger.options.get("name", "")))
    for text in (name, job.title or ""):
        if slug := re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-"):
            return slug
    return trigger.collector_id


def _unused(name: str, taken: Any) -> str:
    candidates = (
        name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2)
    )
    return next(candidate for candidate in candidates if candidate not in taken)


def _program(job: Job) -> str:
    """Name the program of a line, and nothing else of it: the rest may hold secrets."""
    words = job.command.split()
    return told_program(next((word for word in words if "=" not in word), ""))


def _warn_as_a_whole(made: ImportedDefinitions) -> None:
    if not made.schedules:
        return
    without_zone = [name for name, (_, keys) in made.schedules.items() if "timezone" not in keys]
    if without_zone:
        made.warnings.append(
            "cron read the times in the zone of its machine, which the file does not name:"
            f" say it with --timezone, or these {len(without_zone)} schedules fire in UTC"
        )
    for (token, _), name in made.accounts.items():
        variable = token_variable(made, name)
        if token is None:
            continue
        if token.startswith("$"):
            sentence = f"its token was ${token.strip('${}')}: give it to the daemon as {variable}"
        else:
            sentence = (
                "the token in the file is not written; keep it in the environment as"
                f" {variable}, and delete it from the crontab"
            )
        made.warnings.append(f"account {name!r}: {sentence}")
