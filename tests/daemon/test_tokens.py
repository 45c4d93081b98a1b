"""Tokens: a file that does not answer holds up nobody, and its last good one serves."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scheduler.config import parse_config
from scheduler.config.secrets import SecretKind, SecretReference
from scheduler.daemon.tokens import Tokens
from scheduler.daemon.wiring import Settings
from scheduler.domain.errors import ConfigError, InvalidInput


@dataclass(frozen=True, slots=True)
class Mounted(SecretReference):
    """A token's file on a mount that may die."""

    answers: threading.Event = field(default_factory=threading.Event, hash=False, compare=False)

    def read_token(self, environ: Mapping[str, str]) -> str:
        """Wait for the mount, as the kernel does."""
        self.answers.wait()
        return SecretReference.read_token(self, environ)


def mounted(tmp_path: Path) -> Mounted:
    (tmp_path / "token").write_text("first")
    return Mounted(SecretKind.FILE, f"{tmp_path}/token")


def test_while_a_file_does_not_answer_its_last_good_token_serves(tmp_path: Path) -> None:
    reference = mounted(tmp_path)
    tokens = Tokens({}, fresh_seconds=0)
    reference.answers.set()
    tokens.read(reference)
    reference.answers.clear()

    assert [tokens.read(reference) for _ in range(3)] == ["first"] * 3


def test_a_file_that_never_answered_is_an_error_and_no_wait(tmp_path: Path) -> None:
    reference = mounted(tmp_path)
    tokens = Tokens({}, fresh_seconds=0)

    for _ in range(2):
        with pytest.raises(ConfigError, match="does not answer"):
            tokens.read(reference)
    reference.answers.set()


def test_a_new_token_is_seen(tmp_path: Path) -> None:
    reference = SecretReference(SecretKind.FILE, f"{tmp_path}/token")
    tokens = Tokens({}, fresh_seconds=0)
    read = []
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token)
        read.append(tokens.read(reference))

    assert read == ["first", "second"]


def test_a_pipe_in_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token")

    with pytest.raises(ConfigError, match="no regular file"):
        SecretReference(SecretKind.FILE, f"{tmp_path}/token").read({})


@pytest.mark.parametrize(
    ("kind", "why"),
    [("pipe", "is no regular file"), ("missing", "no such file"), ("unset", "is not set")],
)
def test_a_secret_that_cannot_be_read_is_not_said_to_be_unknown(
    tmp_path: Path, kind: str, why: str
) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "hook")
    where = 'env = "HOOK"' if kind == "unset" else f'file = "{tmp_path}/hook"'
    loaded = parse_config(f"[secrets]\nhook = {{ {where} }}".encode(), "config.toml")
    settings = Settings(loaded.config, {})

    with pytest.raises(InvalidInput, match=f"the secret hook cannot be read: .*{why}"):
        settings.secret("hook")
    assert settings.secret("other") is None


def test_a_secret_may_hold_what_a_token_may_not(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("two words\n")
    reference = f'[secrets]\nhook = {{ file = "{tmp_path}/hook" }}'

    assert Settings(parse_config(reference.encode(), "c").config, {}).secret("hook") == "two words"
