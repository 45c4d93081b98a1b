"""`token create`, `list`, `revoke`, `link`: a token is shown once, and kept nowhere."""

from datetime import timedelta

import pytest

from scheduler.actions.api_tokens import create_token
from scheduler.domain.access import Scope, is_token
from scheduler.storage.database import Database
from tests.surfaces.rig import NINE, Home


def test_a_token_is_shown_once_and_kept_nowhere(home: Home) -> None:
    token = home.done("token", "create", "ci", "--scope", "read").out.strip()
    (listed,) = home.json("token", "list")["items"]

    assert is_token(token)
    assert not is_token(token[:-1] + ("0" if token[-1] != "0" else "1"))
    assert token.startswith(listed["prefix"])
    assert len(listed["prefix"]) == 13
    for file in home.folder.iterdir():
        assert token.encode() not in file.read_bytes()
        assert token[20:].encode() not in file.read_bytes()


def test_who_made_and_revoked_a_token_is_in_the_audit(home: Home) -> None:
    home.done("token", "create", "ci", "--scope", "trigger", "--collector", "products")
    home.done("token", "revoke", "ci")
    changes = home.json("changes", "list", "--subject", "api_tokens")["items"]

    assert [change["action"] for change in changes] == ["revoke", "create"]
    assert changes[1]["columns"]["collectors"] == [None, "products"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a@b", "--scope", "read"], "cannot be a token's name"),
        (["ci", "--scope", "trigger"], "name the collectors it may trigger, or *"),
        (["ci", "--scope", "trigger", "--collector", "product"], "did you mean products?"),
        (["ci", "--scope", "read", "--collector", "products"], "only a trigger token"),
        (["ci", "--scope", "read", "--expires", "soon"], "is not a duration"),
        (["taken", "--scope", "read"], "take another name"),
    ],
)
def test_what_cannot_be_made_says_why(home: Home, words: list[str], sentence: str) -> None:
    home.done("token", "create", "taken", "--scope", "read")
    home.done("token", "revoke", "taken")
    answer = home.call("token", "create", *words)

    assert answer.code == 1
    assert sentence in answer.err
    assert len(home.json("token", "list")["items"]) == 1


def test_a_token_is_revoked_once(home: Home) -> None:
    home.done("token", "create", "ci", "--scope", "read")
    home.done("token", "revoke", "ci")

    assert "was revoked at" in home.call("token", "revoke", "ci").err
    assert "did you mean ci?" in home.call("token", "revoke", "cii").err


def test_a_link_needs_a_server_and_a_token_that_is_good(home: Home) -> None:
    home.done("token", "create", "ci", "--scope", "read")
    without = home.call("token", "link", "ci")
    home.config.write_text(home.config.read_text() + "\n[http]\n")
    link = home.done("token", "link", "ci").out
    home.done("token", "revoke", "ci")

    assert (without.code, link.startswith("http://127.0.0.1:8460/sign-in?code=")) == (78, True)
    assert "lets nobody in any more" in home.call("token", "link", "ci").err


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_token_that_ends_soon_is_told(home: Home, command: str) -> None:
    with Database(f"sqlite:///{home.database}") as db, db.writing() as conn:
        for name, days in (("soon", 3), ("later", 40)):
            end = NINE + timedelta(days=days)
            create_token(conn, name, scope=Scope.READ, expires_at=end, by="test", now=NINE)
    said = home.call(command).out

    assert "token soon ends at 2026-03-05 09:00:00Z" in said
    assert "token later" not in said
