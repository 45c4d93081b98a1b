"""
The kinds of value that a configuration holds, each with the sentence that refuses a wrong one.

A ValueError raised here becomes one problem, led by the value's place. None shows a value that
may be a secret.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)

from scheduler.config.database_url import check_password
from scheduler.config.secrets import BoundSecret, SecretKind, SecretReference
from scheduler.domain.batch import check_canary
from scheduler.domain.definition import fill_placeholders
from scheduler.domain.durations import format_duration, parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.failed_inputs import read_retry_policy
from scheduler.domain.request import Behaviour, TriggerOptions, check_name_template, trigger_params
from scheduler.domain.results import check_result_path, read_ready_by
from scheduler.domain.timetable import find_zone

FOLDER: Final = "folder"
"""The key of the validation context that holds the folder which relative paths start from."""

_LARGEST = 2**31 - 1  # of the database's integer columns
_Value = TypeVar("_Value")


def judge(check: Callable[..., object], *values: object, **options: object) -> None:
    """Let the domain's *check* judge; its InvalidInput becomes the ValueError wanted here."""
    try:
        check(*values, **options)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def resolved(path: str, info: ValidationInfo) -> Path:
    """Return *path* made absolute, from the configuration's folder."""
    if "\0" in path:
        raise ValueError("must not hold a NUL")
    folder = (info.context or {}).get(FOLDER) or Path.cwd()
    return Path(folder, path).absolute()


def _judged_by(check: Callable[..., object]) -> AfterValidator:
    def validate(value: _Value) -> _Value:
        judge(check, value)
        return value

    return AfterValidator(validate)


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


def _judged_as_option(option: str, **others: object) -> AfterValidator:
    def check(value: object) -> None:
        options: dict[str, Any] = {"collector_id": "c_any", option: value, **others}
        trigger_params(TriggerOptions(**options))

    return _judged_by(check)


def _check_placeholders(value: dict[str, Any]) -> None:
    fill_placeholders(value, "any", due_at=datetime(2026, 1, 1, tzinfo=UTC), zone=UTC)


def _read_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError('must be a duration, text such as "90m" or "1h30m"')
    try:
        return parse_duration(value)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def _write_duration(value: timedelta | str) -> str:
    # A default is still text where pydantic writes a JSON Schema.
    return value if isinstance(value, str) else format_duration(value)


def _read_cron(value: object) -> object:
    is_array = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return "; ".join(value) if is_array and isinstance(value, list) else value


def _read_moment(value: object) -> str:
    moment = _parse_moment(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError("must be a date and a time, such as 2026-12-01T02:00:00")
    return moment.isoformat()


def _read_start(value: object) -> str:
    moment = _parse_moment(value) if isinstance(value, str) else value
    if isinstance(moment, date) and not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day).isoformat()  # noqa: DTZ001 - wall-clock time
    return _read_moment(moment)


def _parse_moment(text: str) -> date | None:
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            continue
    return None


def read_secret(value: object, info: ValidationInfo) -> SecretReference:
    """Return where a secret is kept; ValueError, which does not show *value*, otherwise."""
    ways = '{ env = "NAME" }, { file = "PATH" } or { credential = "NAME" }'
    if isinstance(value, SecretReference):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"must not be written out here: name where it is kept with {ways}")
    if len(value) != 1 or not set(value) <= set(SecretKind):
        raise ValueError(f"must be exactly one of {ways}")
    kind, name = next(iter(value.items()))
    if not isinstance(name, str) or not name:
        raise ValueError(f"{kind} must be text in quotes, and not empty")
    try:
        name = str(resolved(name, info)) if kind == SecretKind.FILE else name
        return SecretReference(SecretKind(kind), name)
    except InvalidInput as error:
        raise ValueError(str(error)) from None


def _read_bound_secret(value: object, info: ValidationInfo) -> BoundSecret:
    if isinstance(value, BoundSecret):
        return value
    bound: tuple[str, ...] = ()
    if isinstance(value, Mapping) and "for" in value:
        value = dict(value)
        written = value.pop("for")
        bound = tuple(map(str, written)) if isinstance(written, list) else ()
        if not bound or not all("://" in address for address in bound):
            raise ValueError('for must be an array of addresses, such as ["https://example.com/"]')
    reference = read_secret(value, info)
    return BoundSecret(reference.kind, reference.name, bound)


def _check_name(name: str) -> str:
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError("a name must be printable text without a space at either end")
    return name


def _check_listed(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        _check_name(name)
        if "," in name:
            raise ValueError(f"{name!r} has a comma: write each as text of its own")
    if len(set(names)) < len(names):
        raise ValueError("must not hold one twice")
    return names


VENDOR: Final = "https://api.brightdata.com"
"""Where the Data Collector API is."""


def check_base_url(url: str) -> str:
    """Return the address that an account's token may be sent to, without a / at its end."""
    rule = "must be https://HOST, or http:// and an address of this machine such as 127.0.0.1"
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        raise ValueError(rule) from None
    if not is_complete or not url.isprintable() or " " in url:
        raise ValueError(rule)
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("must have no user or password, no query and no fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError(f"{rule}: the token would travel unencrypted")
    return url.rstrip("/")


@lru_cache
def origin_of(url: str) -> str:
    """Return the scheme, host and port of an address: what it is compared by."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def is_of_this_machine(url: str) -> bool:
    """Tell whether an address is one of this machine, such as the sandbox's."""
    return _is_loopback(urlsplit(url).hostname)


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _read_database_url(url: str, info: ValidationInfo) -> str:
    brand, _, rest = url.partition("://")
    match brand.partition("+")[0]:
        case "postgresql":
            check_password(url)
            return url
        case "sqlite":
            path, mark, query = rest.removeprefix("/").partition("?")
            if not rest.startswith("/") or not path or path.startswith((":memory:", "file:")):
                raise ValueError("must name a file, sqlite:///FILE: memory is lost at a restart")
            return f"{brand}:///{resolved(path, info)}{mark}{query}"
        case "postgres":
            raise ValueError("begins with postgres://: write postgresql://")
        case _:
            raise ValueError("must be sqlite:///FILE or postgresql://USER@HOST/NAME")


Name = Annotated[str, AfterValidator(_check_name)]
QueueName = Annotated[str, _judged_as_option("queue", behaviour=Behaviour.QUEUE)]
Count = Annotated[int, Field(ge=1, le=_LARGEST)]
WholeCount = Annotated[int, Field(ge=0, le=_LARGEST)]
Percent = Annotated[int, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(ge=0, le=1_000_000)]
WholeNumber = Annotated[int, Field(ge=-_LARGEST, le=_LARGEST)]

Labels = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_check_listed)]
FieldNames = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_check_listed)]
"""Names without a comma, for the database keeps them apart by it."""

Duration = Annotated[
    timedelta,
    PlainValidator(_read_duration, json_schema_input_type=str),
    PlainSerializer(_write_duration, return_type=str),
]
"""Text such as `1h30m` in the file, a timedelta here."""
DurationText = Annotated[str, _judged_by(parse_duration)]
"""Text such as `1h30m`, kept as written."""

CronText = Annotated[str, BeforeValidator(_read_cron, json_schema_input_type=str | list[str])]
MomentText = Annotated[str, BeforeValidator(_read_moment, json_schema_input_type=datetime | str)]
StartText = Annotated[str, BeforeValidator(_read_start, json_schema_input_type=datetime | str)]
"""A moment, or a day, which begins at midnight."""
ZoneName = Annotated[str, _judged_by(find_zone)]

CollectorId = Annotated[str, _judged_as_option("collector_id")]
Version = Annotated[str, _judged_as_option("version")]
NameTemplate = Annotated[str, _judged_as_option("name"), _judged_by(check_name_template)]
Notify = Annotated[dict[str, Any], _judged_as_option("notify")]
Deliver = Annotated[dict[str, Any], _judged_as_option("deliver"), _judged_by(_check_placeholders)]
ResultPathText = Annotated[str, _judged_by(check_result_path)]
CanaryText = Annotated[
    str,
    BeforeValidator(_number_as_text, json_schema_input_type=int | str),
    _judged_by(check_canary),
]
"""A number or a share, kept as text."""
TimeOfDay = Annotated[str, _judged_by(read_ready_by)]

RetryFailedInputs = Annotated[dict[str, Any], _judged_by(read_retry_policy)]
"""`{ max = 2, after = "30m", only = ["later"] }`."""

BaseUrl = Annotated[str, AfterValidator(check_base_url)]
DatabaseUrl = Annotated[str, AfterValidator(_read_database_url)]
Secret = Annotated[
    SecretReference,
    PlainValidator(read_secret, json_schema_input_type=dict[SecretKind, str]),
    PlainSerializer(str, return_type=str),
]
Destined = Annotated[
    BoundSecret,
    PlainValidator(_read_bound_secret, json_schema_input_type=dict[str, str | list[str]]),
    PlainSerializer(str, return_type=str),
]
"""A secret, and with `for` where it may be sent."""
