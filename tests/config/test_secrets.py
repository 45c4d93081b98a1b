"""Where a secret is kept, and what is said when it is not there."""

from pathlib import Path

import pytest

from scheduler.config import SecretKind, SecretReference
from scheduler.domain.errors import ConfigError, InvalidInput

CANARY = "CANARY-5f0c"


@pytest.mark.parametrize(
    "text", ["env:DCA_API_TOKEN", "file:/etc/dca/token", "credential:dca-token"]
)
def test_a_reference_is_stored_as_text_and_read_back(text: str) -> None:
    assert str(SecretReference.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"token:{CANARY}",
        f"env:{CANARY}",
        "env:",
        f"file:{CANARY}",
        f"credential:../{CANARY}",
        "credential:..",
        "",
    ],
)
def test_text_that_is_no_reference_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        SecretReference.parse(text)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("s3cret", "s3cret"),
        ("s3cret\n", "s3cret"),
        ("s3cret\r\n", "s3cret"),
        ("two\nlines\n\n", "two\nlines\n"),
    ],
)
def test_one_line_break_at_the_end_is_no_part_of_a_secret(
    tmp_path: Path, content: str, secret: str
) -> None:
    (tmp_path / "token").write_bytes(content.encode())
    environ = {"T": content, "CREDENTIALS_DIRECTORY": str(tmp_path)}

    assert SecretReference(SecretKind.ENV, "T").read(environ) == secret
    assert SecretReference(SecretKind.FILE, str(tmp_path / "token")).read(environ) == secret
    assert SecretReference(SecretKind.CREDENTIAL, "token").read(environ) == secret


def test_a_rotated_secret_is_seen_at_the_next_use(tmp_path: Path) -> None:
    path = tmp_path / "token"
    reference = SecretReference(SecretKind.FILE, str(path))
    path.write_text("old")
    before = reference.read({})
    path.write_text("new")

    assert (before, reference.read({})) == ("old", "new")


@pytest.mark.parametrize(
    ("text", "environ", "problem"),
    [
        ("env:T", {}, "env:T: the environment variable T is not set: set it"),
        ("env:T", {"T": "\n"}, "env:T: it is empty"),
        ("file:/nowhere/token", {}, "file:/nowhere/token: /nowhere/token cannot be read (no such"),
        ("file:/", {}, "file:/: / cannot be read (is a directory)"),
        ("file:/dev/zero", {}, "file:/dev/zero: /dev/zero is no regular file"),
        ("credential:t", {}, "credential:t: CREDENTIALS_DIRECTORY is not set: run under systemd"),
        (
            "credential:t",
            {"CREDENTIALS_DIRECTORY": "/nowhere"},
            "credential:t: /nowhere/t cannot be read (no such file or directory):"
            " add LoadCredential=t:/path",
        ),
    ],
)
def test_a_secret_that_is_not_there_is_told_with_the_way_out(
    text: str, environ: dict[str, str], problem: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        SecretReference.parse(text).read(environ)

    assert str(caught.value).startswith(problem)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"CANARY\xff")

    with pytest.raises(ConfigError, match="is not text in UTF-8") as caught:
        SecretReference(SecretKind.FILE, str(tmp_path / "token")).read({})

    assert caught.value.__cause__ is None
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", ["a b", "a\nb", "a\rX: y", "tökén", "a\x00", "a\x7f", "\ta", "a\n\n"]
)
def test_a_token_that_cannot_stand_in_a_header_is_refused_without_being_shown(bad: str) -> None:
    with pytest.raises(ConfigError, match="HTTP header") as caught:
        SecretReference(SecretKind.ENV, "T").read_token({"T": f"{CANARY}{bad}"})

    assert CANARY not in str(caught.value)


def test_a_good_token_is_returned() -> None:
    environ = {"T": "ab-12_34.~+/==\n"}

    assert SecretReference(SecretKind.ENV, "T").read_token(environ) == "ab-12_34.~+/=="
