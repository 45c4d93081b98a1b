"""Secrets by reference only: what is refused, what is found, what is filled in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.config.secrets import BoundSecret, SecretKind
from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import check_references, expand_secrets, secret_names

# Looks like no key: it is found by the name it stands under, or not at all.
CANARY = "hunter2 canary"


@pytest.mark.parametrize(
    "key",
    [
        *("password", "Password", "PASSWORD", "password2", "db_password", "dbPassword", "passwd"),
        *("pass", "pwd", "passphrase", "userpassword", "secret", "client_secret", "clientSecret"),
        *("token", "sas_token", "sastoken", "sas", "access-token", "authToken", "authtoken"),
        *("api_key", "apikey", "APIKey", "apiKey", "API_KEY", "x-api-key", "key_api"),
        *("secret_key", "secretKey", "secretkey", "SECRETKEY", "secretAccessKey"),
        *("access_key", "AccountKey", "accountkey", "private_key", "privateKeyPem", "ssh-key"),
        *("encryption_key", "auth", "authorization", "Authorization", "bearer", "credentials"),
        *("signature",),
    ],
)
@pytest.mark.parametrize("value", [CANARY, 4711, 47.11, [CANARY], {"value": CANARY}, [[4711]]])
def test_a_credential_is_known_by_its_name(key: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_references({"type": "s3", "inner": {key: value}}, place="deliver")

    assert str(caught.value).startswith(f"deliver.inner.{key}")
    assert "holds a credential: write ${secret:NAME} in its place" in str(caught.value)
    assert "canary" not in str(caught.value) and "47" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:canary@x.org/",
        "sftp://:canary@x.org",
        "https://x.org/?a=1&token=canary",
        "https://x.org/?sig=canary%3D",
        "https://x.org/?API_KEY=canary",
        "Bearer canary",
        "basic Y2FuYXJ5",
        "-----BEGIN RSA PRIVATE KEY-----\ncanary",
        "-----BEGIN PRIVATE KEY-----",
        "AKIAIOSFODNN7EXAMPLE",
        "key: ASIAIOSFODNN7EXAMPLE.",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=canary==;",
        "Endpoint=sb://x;SharedAccessKey=canary",
        "host=db password=canary",
    ],
)
def test_a_credential_is_known_by_its_look(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_references({"note": ["fine", {"x": text}]}, place="notify")

    assert str(caught.value).startswith("notify.note[1].x holds a credential:")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "webhook", "endpoint": "https://x.org/hook?a=1&page=2", "compress": True},
        {"type": "s3", "bucket": "b", "directory": "d", "region": "eu-1", "key": "name of a file"},
        {"credentials": {"region": "eu", "role_arn": "arn:…", "client_id": "1", "user": "me"}},
        {"secret": "${secret:s3}", "Authorization": "Bearer ${secret:hook-token}"},
        {"password": "", "token": None, "secret": True, "credentials": {}},
        {"endpoint": "https://me:${secret:pw}@x.org/?token=${secret:t}&x=1"},
        {"endpoint": "https://x.org/?token=${secret:t}"},
        {"connection": "AccountName=a;AccountKey=${secret:k};x=1"},
        {"keywords": ["token ring", "password managers"], "max_tokens": "9", "tokenizer": "x"},
        {"monkey": "banana", "passage": "x", "author": "y", "authtype": "basic", "keyboard": "z"},
        {"email": "me@x.org", "time": "12:30", "text": "costs $5 {net}"},
    ],
)
def test_what_is_no_credential_passes(value: dict[str, Any]) -> None:
    check_references(value, place="deliver")


@pytest.mark.parametrize(
    "text",
    [
        *("${secret}", "${secret:}", "${secret:a b}", "${secret:1a}", "${Secret:a}", "${env:A}"),
        *("${secret:a", "x ${", "${${secret:a}}", "$${secret:a}{", "${secret: a}", "${secret:ä}"),
    ],
)
def test_a_misspelt_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^deliver\.a holds a \$\{…\} that is not"):
        check_references({"a": text}, place="deliver")


STORED = (
    ("collector", "c_${secret:id}"),
    ("name", "${secret:name}"),
    ("notify", '{"endpoint":"https://x.org/${secret:a}/${secret:b.c-d}"}'),
    ("deliver", '{"list":["${secret:a}",{"n":1.5,"t":true}],"ü":"€"}'),
)


def test_only_notify_and_deliver_hold_references() -> None:
    assert secret_names(STORED) == {"a", "b.c-d"}
    assert secret_names(STORED[:2]) == frozenset()


def test_references_become_what_they_stand_for() -> None:
    secrets = {"a": "A", "b.c-d": "${secret:a}"}

    sent = expand_secrets(STORED, secrets.get)

    assert sent == (
        ("collector", "c_${secret:id}"),
        ("name", "${secret:name}"),
        ("notify", '{"endpoint":"https://x.org/A/${secret:a}"}'),
        ("deliver", '{"list":["A",{"n":1.5,"t":true}],"ü":"€"}'),
    )


def test_each_secret_is_looked_up_once_and_none_without_need() -> None:
    asked: list[str] = []

    def lookup(name: str) -> str:
        asked.append(name)
        return "x"

    expand_secrets(STORED, lookup)
    expand_secrets(STORED[:2], lookup)

    assert asked == ["a", "b.c-d"]


def test_all_missing_secrets_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"^no secret is called a, b\.c-d: name in the config"):
        expand_secrets(STORED, lambda name: None)


def test_a_secret_that_is_no_text_is_named_and_not_shown() -> None:
    with pytest.raises(InvalidInput) as caught:
        expand_secrets(STORED, {"a": "canary\udcff", "b.c-d": "x"}.get)

    assert str(caught.value) == "the secret a is no text in UTF-8: store it as such"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_secret_lands_whole_in_its_string_whatever_it_holds(secret: str) -> None:
    stored = (("deliver", '{"a":"<${secret:s}>","b":["${secret:s}"]}'),)

    ((key, text),) = expand_secrets(stored, {"s": secret}.get)

    assert (key, json.loads(text)) == ("deliver", {"a": f"<{secret}>", "b": [secret]})


HOOKS = BoundSecret(SecretKind.ENV, "HOOK", ("https://hooks.example.com/a/",))


@pytest.mark.parametrize(
    ("deliver", "is_refused"),
    [
        ({"type": "webhook", "endpoint": "https://hooks.example.com/a/b?${secret:hook}"}, False),
        ({"type": "webhook", "endpoint": "https://HOOKS.example.com/a"}, False),
        ({"type": "webhook", "endpoint": "https://attacker.example/a/?x=${secret:hook}"}, True),
        ({"type": "webhook", "endpoint": "https://hooks.example.com.evil/a/"}, True),
        ({"type": "webhook", "endpoint": "https://hooks.example.com/a/../b"}, True),
        ({"type": "webhook", "endpoint": "https://hooks.example.com/ab"}, True),
        ({"type": "webhook", "endpoint": "http://hooks.example.com/a/"}, True),
        ({"type": "webhook", "endpoint": "https://hooks.example.com@evil.example/a/"}, True),
        ({"type": "webhook", "endpoint": "https://hooks.example.com/a", "u": "ftp://x"}, True),
        ({"type": "s3", "bucket": "mine"}, True),
        ({"type": "email"}, True),
    ],
)  # fmt: skip
def test_a_secret_that_is_bound_goes_nowhere_else(
    deliver: dict[str, str], is_refused: bool
) -> None:
    params = [("deliver", json.dumps({**deliver, "auth": "${secret:hook}"}))]

    def may_go(name: str, destination: str) -> bool:
        return HOOKS.may_go_to(destination)

    if is_refused:
        with pytest.raises(InvalidInput, match="the secret hook may not go to") as caught:
            expand_secrets(params, lambda name: CANARY, may_go)
        assert "canary" not in str(caught.value)
    else:
        assert CANARY in expand_secrets(params, lambda name: CANARY, may_go)[0][1]


def test_a_secret_is_bound_to_a_bucket_by_the_kind_of_its_place() -> None:
    bound = BoundSecret(SecretKind.ENV, "KEY", ("s3://mine",))

    assert bound.may_go_to("s3://mine")
    assert not bound.may_go_to("s3://other")
