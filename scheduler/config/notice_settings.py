"""`[channels.NAME]`, `[notices.NAME]`, `[heartbeat]`: who is told, of what, and how."""

from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from scheduler.config.secrets import SecretReference
from scheduler.config.table import TomlTable
from scheduler.config.values import Count, Duration, Labels, Secret, read_secret
from scheduler.domain.notices import SUCCEEDED, AlertKind

_BY_CHOICE: Final = frozenset({AlertKind.UNCONFIRMED.value})
USUAL_KINDS: Final = tuple(kind.value for kind in AlertKind if kind.value not in _BY_CHOICE)
"""What is told where a rule does not say: all that is wrong, but what mends itself."""


def check_receiver(url: str) -> str:
    """Return an address that may be called; ValueError, which does not show it, otherwise."""
    rule = "must be https://HOST/…, or http://…, without a user or a password"
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        raise ValueError(rule) from None
    if not is_complete or not url.isprintable() or not url.isascii() or " " in url:
        raise ValueError(rule)
    if parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.fragment:
        raise ValueError(rule)
    return url


def _read_url(value: object, info: ValidationInfo) -> str | SecretReference:
    if isinstance(value, str):
        return check_receiver(value)
    return read_secret(value, info)


Receiver = Annotated[
    str | SecretReference,
    PlainValidator(_read_url, json_schema_input_type=str | dict[str, str]),
    PlainSerializer(str, return_type=str),
]
"""An address; one that is a secret itself is named as { env = "NAME" }."""


class ChannelDefinition(TomlTable):
    """Where notices go: only the file says this, no row and no request."""

    type: Literal["webhook", "command", "apprise"]
    """`webhook`: a signed POST; `command`: a program; `apprise`: what that package knows."""
    url: Receiver | None = Field(None, repr=False)
    """Of a webhook: where it is sent; { env = "NAME" } where the address is a secret itself."""
    secret: Secret | None = None
    """Of a webhook: what its signature is made with; left out: it is not signed."""
    allow_private: bool = False
    """Whether a webhook may go to this machine or a private network, and without TLS."""
    command: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Of a command: the program and its words; it has the message on its standard input."""
    urls: Annotated[tuple[Secret, ...], Field(strict=False)] = ()
    """Of apprise: where its addresses are kept."""
    timeout: Duration = Field("30s", validate_default=True)
    """How long one attempt may take."""
    max_attempts: Count = 60
    """How often a message is tried: 5s apart, then longer, 10m at most. 60 are nine hours."""
    group_wait: Duration = Field("30s", validate_default=True)
    """How long the first notice waits for others, to be one message."""
    group_interval: Duration = Field("5m", validate_default=True)
    """How long after one message the next comes at the earliest."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        given = {"url": self.url, "command": self.command, "urls": self.urls}
        needed = {"webhook": "url", "command": "command", "apprise": "urls"}[self.type]
        if not given.pop(needed):
            raise ValueError(f"a channel of type {self.type} needs {needed}")
        stray = [key for key, value in given.items() if value]
        if self.type != "webhook":
            stray += [key for key in ("secret", "allow_private") if getattr(self, key)]
        if stray:
            raise ValueError(f"{stray[0]} does not go with type {self.type}")
        if isinstance(self.url, str) and self.url.startswith("http:") and not self.allow_private:
            raise ValueError(
                "url begins with http: what is told would travel unencrypted; write https, or"
                " allow_private = true for a receiver on this machine or a network of your own"
            )
        if self.command and not self.command[0].startswith("/"):
            raise ValueError("command must begin with the program's absolute path")
        return self

    @property
    def references(self) -> tuple[SecretReference, ...]:
        """Where its secrets are kept."""
        named = (self.url, self.secret, *self.urls)
        return tuple(one for one in named if isinstance(one, SecretReference))


def _check_kind(kind: str) -> str:
    known = (*(one.value for one in AlertKind), SUCCEEDED)
    if kind not in known:
        raise ValueError(f"{kind!r} is no kind of notice: there is {', '.join(known)}")
    return kind


class NoticeRule(TomlTable):
    """Which alerts are told in which channels."""

    channels: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    """Names of [channels]."""
    schedules: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Globs such as `nightly-*`: only what is wrong with these. Left out: all that is wrong."""
    labels: Labels = ()
    """Only what has one of these labels."""
    kinds: Annotated[tuple[str, ...], Field(strict=False)] = USUAL_KINDS
    """Only these kinds. Left out: all but `unconfirmed` and `succeeded`."""
    remind_every: Duration | None = Field("1d", validate_default=True)
    """How often what lasts is told again, until somebody acknowledges it."""
    recovered: bool = True
    """Whether its end is told."""

    @field_validator("kinds")
    @classmethod
    def _are_known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_check_kind, kinds))

    @field_validator("remind_every")
    @classmethod
    def _is_no_flood(cls, every: timedelta | None) -> timedelta | None:
        if every is not None and every < timedelta(minutes=1):
            raise ValueError("must be at least 1m")
        return every


class HeartbeatSettings(TomlTable):
    """Whom the daemon tells that it is well: who hears nothing raises the alarm."""

    url: Receiver = Field(repr=False)
    """Called with GET; { env = "NAME" } where the address is a secret itself."""
    every: Duration = Field("1m", validate_default=True)
    """How often."""
    allow_private: bool = False
    """Whether it may go to this machine or a private network, and without TLS."""

    @field_validator("every")
    @classmethod
    def _is_no_flood(cls, every: timedelta) -> timedelta:
        if every < timedelta(seconds=10):
            raise ValueError("must be at least 10s")
        return every


def names_of(value: Any) -> tuple[str, ...]:
    """Return what of a key's value may be names, whatever else it is."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
