"""
Where a secret is kept, and how it is read there. The secret itself is never stored or shown.

A reference is text such as `env:DCA_API_TOKEN`, `file:/etc/dca/token` or `credential:dca-token`.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from scheduler.domain.errors import ConfigError, InvalidInput

_MOST_BYTES: Final = 64 * 1024
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.:@-]+")
_NOT_IN_A_TOKEN: Final = re.compile(r"[^\x21-\x7e]")


class SecretKind(StrEnum):
    """The places that can keep a secret."""

    ENV = "env"  # an environment variable
    FILE = "file"  # a file by its absolute path
    CREDENTIAL = "credential"  # a file in $CREDENTIALS_DIRECTORY, put there by systemd


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Names one secret; its text, `kind:name`, is what the database stores."""

    kind: SecretKind
    name: str

    def __post_init__(self) -> None:
        """Refuse a name that cannot be one. It is not shown: it may be the secret itself."""
        match self.kind:
            case SecretKind.ENV if not _VARIABLE.fullmatch(self.name):
                raise InvalidInput("env must name an environment variable, such as DCA_API_TOKEN")
            case SecretKind.CREDENTIAL if not _CREDENTIAL.fullmatch(self.name):
                raise InvalidInput("credential must be the name of a credential, not a path")
            case SecretKind.FILE if "\0" in self.name or not Path(self.name).is_absolute():
                raise InvalidInput("file must be an absolute path to the file that holds it")

    def __str__(self) -> str:
        """Return it as the database stores it."""
        return f"{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote; raises InvalidInput, which does not show *text*."""
        kind, _, name = text.partition(":")
        if kind not in list(SecretKind):
            raise InvalidInput(
                "a secret is named as env:NAME, file:/PATH or credential:NAME, never written out"
            )
        return cls(SecretKind(kind), name)

    def read(self, environ: Mapping[str, str]) -> str:
        """
        Return the secret as it is now, without one line break at its end.

        Read it at each use, so that a rotated one is seen; blocks for one small file.
        Raises ConfigError naming the reference and the way out.
        """
        secret = self._variable(environ) if self.kind is SecretKind.ENV else self._file(environ)
        secret = secret.removesuffix("\n").removesuffix("\r")
        if not secret:
            raise self._problem("it is empty: put the secret there")
        return secret

    def read_token(self, environ: Mapping[str, str]) -> str:
        """Return the secret if it can stand in an HTTP header, which a token must; see read."""
        token = self.read(environ)
        if _NOT_IN_A_TOKEN.search(token):
            raise self._problem(
                "it holds a space, a line break or a character that cannot stand in an HTTP"
                " header: put the token there and nothing else"
            )
        return token

    def _variable(self, environ: Mapping[str, str]) -> str:
        try:
            return environ[self.name]
        except KeyError:
            raise self._problem(
                f"the environment variable {self.name} is not set: set it to the secret"
            ) from None

    def _file(self, environ: Mapping[str, str]) -> str:
        path = self._path(environ)
        try:
            content = _content(path)
        except OSError as error:
            reason = (error.strerror or "it cannot be read").lower()
            raise self._problem(f"{path} cannot be read ({reason}){self._advice()}") from None
        if content is None:
            raise self._problem(f"{path} is no regular file: a pipe or a device may never answer")
        if len(content) > _MOST_BYTES:
            raise self._problem(f"{path} is larger than {_MOST_BYTES} bytes: that is no secret")
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self._problem(f"{path} is not text in UTF-8") from None

    def _path(self, environ: Mapping[str, str]) -> Path:
        if self.kind is SecretKind.FILE:
            return Path(self.name)
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise self._problem(
                "CREDENTIALS_DIRECTORY is not set: run under systemd with"
                f" LoadCredential={self.name}:/path, or name an env or a file"
            )
        return Path(folder) / self.name

    def _advice(self) -> str:
        if self.kind is SecretKind.CREDENTIAL:
            return f": add LoadCredential={self.name}:/path to the systemd unit"
        return ": write the secret there, readable by this program's user"

    def _problem(self, sentence: str) -> ConfigError:
        return ConfigError(str(self), [sentence])


def _content(path: Path) -> bytes | None:
    """Return what the file begins with; None if it is a pipe or the like, which may never end."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        return file.read(_MOST_BYTES + 1)


@dataclass(frozen=True, slots=True)
class BoundSecret(SecretReference):
    """A secret that may only be sent to *destinations*, such as `https://hooks.example.com/`."""

    destinations: tuple[str, ...] = ()

    def may_go_to(self, destination: str) -> bool:
        """Tell whether the secret may be part of what is sent there; unbound, it may anywhere."""
        return not self.destinations or any(
            _is_within(destination, bound) for bound in self.destinations
        )


def _is_within(destination: str, bound: str) -> bool:
    """Tell whether an address begins with another: the same scheme and host, and below its path."""
    try:
        there, limit = urlsplit(destination), urlsplit(bound)
    except ValueError:
        return False
    is_same = (there.scheme.lower(), there.netloc.lower()) == (limit.scheme, limit.netloc.lower())
    if ".." in there.path or "\\" in destination:
        return False
    path = limit.path.rstrip("/")
    return is_same and (there.path == path or there.path.startswith(f"{path}/"))
