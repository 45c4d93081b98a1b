"""Who may do what over HTTP: tokens, what they look like, and their scopes."""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final

from scheduler.domain.errors import InvalidInput

ALPHABET: Final = digits + ascii_uppercase + ascii_lowercase
"""What a secret is made of: no sign that a shell, a URL or a header would read otherwise."""

SECRET_LENGTH: Final = 43
"""So many letters hold 256 bits."""

ANY_COLLECTOR: Final = "*"
"""What stands in place of names where a token may trigger every collector."""

_MARK: Final = "dcas_"
_CHECK_LENGTH: Final = 6
_PREFIX_LENGTH: Final = len(_MARK) + 8
_TOKEN: Final = re.compile(rf"{_MARK}[0-9A-Za-z]{{{SECRET_LENGTH + _CHECK_LENGTH}}}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Scope(StrEnum):
    """What a token is for."""

    READ = "read"  # sees everything that is no secret, and changes nothing
    TRIGGER = "trigger"  # spends on the collectors named, and sees the runs that it asked for
    OPERATE = "operate"  # reads, pauses, resumes, retries, settles
    ADMIN = "admin"  # everything, definitions and tokens included


_HELD: Final = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.TRIGGER: frozenset({Scope.TRIGGER}),
    Scope.OPERATE: frozenset({Scope.READ, Scope.OPERATE}),
    Scope.ADMIN: frozenset(Scope),
}


def may(scope: Scope, needed: Iterable[Scope]) -> bool:
    """Tell whether a token of *scope* may do what takes any one of *needed*."""
    return not _HELD[scope].isdisjoint(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token as it is kept: never itself, only its SHA-256 and what it begins with."""

    name: str
    prefix: str
    digest: str
    scope: Scope
    collectors: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None

    def is_good(self, now: datetime) -> bool:
        """Tell whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def token_of(secret: str) -> str:
    """Return the token that a random *secret* makes: a mark before it, a checksum behind."""
    return f"{_MARK}{secret}{_checksum(secret)}"


def is_token(text: str) -> bool:
    """Tell whether *text* can be a token at all; one that was mistyped cannot."""
    if not _TOKEN.fullmatch(text):
        return False
    secret = text[len(_MARK) : -_CHECK_LENGTH]
    return text.endswith(_checksum(secret))


def prefix_of(token: str) -> str:
    """Return what a token is recognised by: too little to guess the rest."""
    return token[:_PREFIX_LENGTH]


def digest_of(secret: str) -> str:
    """Return what is kept of a secret of 256 random bits: no salt is needed for those."""
    return sha256(secret.encode()).hexdigest()


def check_token_name(name: str) -> None:
    """Raise InvalidInput for a name that could not stand in the audit, `http:NAME@ADDRESS`."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be a token's name: up to 63 letters, digits, dots, dashes and"
            " underscores, a letter or a digit first"
        )


def _checksum(secret: str) -> str:
    number, letters = zlib.crc32(secret.encode()), ""
    for _ in range(_CHECK_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters += ALPHABET[rest]
    return letters
