"""The lines of a crontab, a user's or the system's: jobs, variables, and what cron makes of `%`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

_VARIABLE: Final = re.compile(
    r"""\s*(?P<name>[A-Za-z_]\w*|"[^"]+"|'[^']+')\s*=\s*(?P<value>.*?)\s*"""
)
_MACRO: Final = re.compile(r"-?(?P<when>@[A-Za-z]+)\s+(?P<rest>\S.*)")
# Nothing but what a field may hold: other words of a line may be secrets, and are never shown.
_FIELD: Final = r"[\w*?~,/#()-]+"
_FIELDS: Final = re.compile(
    rf"-?(?P<when>[\dH*?~,/()-]+(?:\s+{_FIELD}){{4}})\s+(?P<rest>\S.*)", re.ASCII
)
# Times and a command behind a variable: one line where two were meant.
_JOB_BEHIND: Final = re.compile(r"\s(?:@[a-z]+|[\d*][\d*,/-]*(?:\s+[\w*,/-]+){4})\s+\S")
_ZONE: Final = re.compile(r":?[A-Za-z][A-Za-z0-9_+/-]{0,40}|")
_TITLE: Final = re.compile(r"[\w ,.'()-]{1,40}")
_SECRET: Final = re.compile(r"token|key|secret|pass|bearer|auth", re.IGNORECASE)
_CRON_FIELD: Final = re.compile(r"[\d*?/,LW#-]+")
_USER: Final = re.compile(r"[a-z_][a-z0-9_.-]*\$?")
# A first word that begins a command, and is no name of a user.
_COMMANDS: Final = frozenset(
    {"curl", "wget", "cd", "test", "sh", "bash", "env", "flock", "nice", "ionice", "timeout"}
    | {"su", "make", "php", "node", "perl", "ruby", "docker", "find", "tar", "rsync", "rm", "cp"}
    | {"true", "false", "export", "set", "nohup", "chronic", "which", "exec", "time", "runuser"}
    | {"run-one", "cronic", "cronlock", "lckdo", "setlock", "solo", "xargs", "eval", "systemd-run"}
    | {"sleep", "echo", "printf", "cat", "sudo", "if", "command", "python", "python3", "run-parts"}
    | {"while", "until", "for", "case", "pushd", "exit", "trap", "umask", "wait"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """
    One job: *when* and *command* as cron takes them, its standard *stdin* behind the first `%`.

    *variables* are those set above it, *timezone* a CRON_TZ or TZ among them.
    """

    line: int
    when: str
    user: str | None
    command: str
    stdin: str | None
    variables: Mapping[str, str]
    timezone: str | None
    title: str | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrontabFile:
    """The jobs of a file, whether it has a column of users, and what is to be said of its lines."""

    jobs: tuple[Job, ...]
    has_users: bool
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _CrontabReader:
    variables: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    title: str | None = None


def read_crontab(text: str, *, has_users: bool | None = None) -> CrontabFile:
    """
    Read the *text* of a crontab; with None, whether it has a column of users is found out.

    Lines that are no job, no variable and no comment are told of in the warnings.
    """
    lines = list(_joined(text))
    if has_users is None:
        has_users = _has_users(lines)
    reader = _CrontabReader()
    for number, line, was_joined in lines:
        _read_line(reader, number, line, has_users=has_users, was_joined=was_joined)
    return CrontabFile(
        jobs=tuple(reader.jobs), has_users=has_users, warnings=tuple(reader.warnings)
    )


def _joined(text: str) -> Iterator[tuple[int, str, bool]]:
    """Yield lines with their numbers; one that ends in a backslash goes on, as people mean it."""
    pending, start = "", 0
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        start = start or number
        line = line.rstrip("\r")
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            pending += line[:-1] + " "
            continue
        yield start, pending + line.strip(), bool(pending)
        pending, start = "", 0
    if pending:
        yield start, pending, True


def _read_line(
    reader: _CrontabReader, number: int, line: str, *, has_users: bool, was_joined: bool
) -> None:
    line = line.strip()
    if not line:
        reader.title = None
        return
    if line.startswith("#"):
        text = line.lstrip("# ").strip()
        is_title = _TITLE.fullmatch(text) and not _SECRET.search(text)
        reader.title = text if is_title else None
        return
    parted = _split(line)
    if parted is None:
        _read_variable(reader, number, line)
        return
    warnings = []
    if was_joined:
        warnings.append("cron itself does not join lines that end in a backslash")
    reader.jobs.append(_job(reader, number, *parted, has_users=has_users, warnings=warnings))
    reader.title = None


def _read_variable(reader: _CrontabReader, number: int, line: str) -> None:
    reader.title = None
    match = _VARIABLE.fullmatch(line)
    if match is None:
        reader.warnings.append(f"line {number}: is no job and no variable: not imported")
        return
    name, value = _unquoted(match["name"]), _unquoted(match["value"])
    if _JOB_BEHIND.search(value) or "/dca/trigger" in value:
        reader.warnings.append(
            f"line {number}: cron reads all of it as one variable: write the variable and the job"
            " as two lines: not imported"
        )
        return
    if name in ("TZ", "CRON_TZ") and not _ZONE.fullmatch(value):
        reader.warnings.append(f"line {number}: {name} names no time zone: not imported")
        return
    reader.variables[name] = value
    sentence = _told_of_variable(name, value)
    if sentence is not None:
        reader.warnings.append(f"line {number}: {sentence}")


def _told_of_variable(name: str, value: str) -> str | None:
    match name:
        case "MAILTO" if value:
            return "MAILTO: cron mailed what a job wrote; here nobody is mailed, see notify"
        case "TZ":
            return (
                "TZ: Debian cron gives it to the command and keeps the machine's zone for the"
                " times; here it becomes the schedules' timezone"
            )
        case "CRON_TZ":
            return "CRON_TZ: Debian cron does not know it; here it becomes the schedules' timezone"
        case "RANDOM_DELAY":
            return "RANDOM_DELAY: not imported; jitter says the same for a schedule"
        case _:
            return None


def _job(
    reader: _CrontabReader,
    number: int,
    when: str,
    rest: str,
    *,
    has_users: bool,
    warnings: Sequence[str],
) -> Job:
    user = None
    if has_users:
        user, *others = rest.split(None, 1)
        rest = others[0] if others else ""
    command, stdin = _split_percent(rest.strip())
    sentences = list(warnings)
    if stdin is not None:
        sentences.append(
            "cron ends the command at the first % and gives it what follows as input;"
            " it was read like that: a percent sign itself is written \\%"
        )
    return Job(
        line=number,
        when=when,
        user=user,
        command=command,
        stdin=stdin,
        variables=dict(reader.variables),
        timezone=reader.variables.get("CRON_TZ") or reader.variables.get("TZ") or None,
        title=reader.title,
        warnings=tuple(sentences),
    )


def _split(line: str) -> tuple[str, str] | None:
    """Take a job's line apart into its times and the rest; None for a line that is no job."""
    match = _MACRO.fullmatch(line)
    if match is None:
        match = _FIELDS.fullmatch(line)
    if match is None or _looks_like_variable(line):
        return None
    when, rest = " ".join(match["when"].split()), match["rest"]
    first, *others = rest.split(None, 1)
    if not when.startswith("@") and _CRON_FIELD.fullmatch(first) and others:
        return f"{when} {first}", others[0].strip()
    return when, rest


def _looks_like_variable(line: str) -> bool:
    return re.match(r"""([A-Za-z_]\w*|"[^"]+"|'[^']+')\s*=""", line) is not None


def _has_users(lines: Sequence[tuple[int, str, bool]]) -> bool:
    """Tell whether every job's first word looks like a user's name, and surely is one somewhere."""
    sixths = [
        parted[1]
        for _, line, _ in lines
        if line.strip() and not line.strip().startswith("#") and (parted := _split(line.strip()))
    ]
    return all(map(_may_begin_with_user, sixths)) and any(map(_begins_with_user, sixths))


def _may_begin_with_user(rest: str) -> bool:
    words = rest.split(None, 1)
    if len(words) > 1 and (words[0] == "function" or re.match(r"\(\s*\)", words[1])):
        return False  # the head of a function
    return len(words) > 1 and _USER.fullmatch(words[0]) is not None and words[0] not in _COMMANDS


def _begins_with_user(rest: str) -> bool:
    words = rest.split(None, 2)
    return _may_begin_with_user(rest) and (
        words[1].startswith(("/", "[", "(")) or words[1] in _COMMANDS or "=" in words[1]
    )


def _split_percent(command: str) -> tuple[str, str | None]:
    parts = re.split(r"(?<!\\)%", command)
    plain = [part.replace("\\%", "%") for part in parts]
    return plain[0].strip(), "\n".join(plain[1:]) if len(plain) > 1 else None


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text
