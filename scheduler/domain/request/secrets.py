"""
Secrets in `notify` and `deliver`: stored as `${secret:NAME}`, filled in when the request is sent.

The vendor's own examples put storage keys in the query string. Here a credential written out
is refused, so that none reaches the database, a log, or a backup of either.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from scheduler.domain.errors import InvalidInput

# The parameters that may hold references; elsewhere `${secret:NAME}` is just text.
JSON_PARAMS: Final = frozenset({"notify", "deliver"})

_REFERENCE: Final = re.compile(r"\$\{secret:([A-Za-z_][A-Za-z0-9_.-]*)\}")
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")

_CREDENTIAL_WORDS: Final = frozenset(
    {
        "auth",
        "authorization",
        "bearer",
        "credential",
        "credentials",
        "pass",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "sas",
        "secret",
        "signature",
        "token",
    }
)
_KEY_OWNERS: Final = frozenset(
    {"access", "account", "api", "auth", "encryption", "private", "secret", "ssh"}
)
# The same as one word, too: `secretkey`, `sastoken`, `password2`.
_CREDENTIAL: Final = re.compile(
    rf"(?:{'|'.join(sorted(_CREDENTIAL_WORDS))}|[a-z]*(?:password|secret|token)"
    rf"|(?:{'|'.join(sorted(_KEY_OWNERS))})key)[0-9]*"
)
_HARMLESS_AMONG_CREDENTIALS: Final = frozenset(
    {
        "account",
        "accountname",
        "authtype",
        "clientemail",
        "clientid",
        "externalid",
        "projectid",
        "region",
        "rolearn",
        "type",
        "user",
        "username",
    }
)
_WRITTEN_OUT: Final = (
    re.compile(r"://[^/\s@:]*:[^/\s@]+@"),  # user:password@host
    re.compile(r"[?&](sig|signature|token|access_token|api_?key|password|secret)=[^&\s]", re.I),
    re.compile(r"\b(account_?key|shared_?access_?(key|signature)|password|pwd)\s*=\s*[^\s;]", re.I),
    re.compile(r"^(bearer|basic)\s+\S", re.I),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b"),  # key ids of AWS
)


def check_references(value: Mapping[str, object], *, place: str) -> None:
    """
    Refuse a credential that is written out in *value*, and a reference that is misspelt.

    Strings are judged by the names they stand under and by their look; the InvalidInput names
    the place, never the value. What looks like neither passes: no rule knows every secret.
    """
    for key, text, is_credential in _leaves(value, place, is_credential=False):
        literal = _REFERENCE.sub("", text)
        if "${" in literal:
            raise InvalidInput(f"{key} holds a ${{…}} that is not ${{secret:NAME}}")
        is_written_out = any(pattern.search(literal) for pattern in _WRITTEN_OUT)
        if is_written_out or (is_credential and text and literal == text):
            raise InvalidInput(
                f"{key} holds a credential: write ${{secret:NAME}} in its place,"
                " and name in the configuration where that secret is kept"
            )


def secret_names(params: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the names of all secrets that `expand_secrets` will ask for."""
    return frozenset(
        name for key, text in params if key in JSON_PARAMS for name in _REFERENCE.findall(text)
    )


def secret_destinations(params: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """
    Yield each secret's name with each place that what it stands in is sent to.

    Such as `https://hooks.example.com/x`, or `s3://BUCKET`; `TYPE:` where none is named.
    """
    for key, text in params:
        if key in JSON_PARAMS and (names := sorted(set(_REFERENCE.findall(text)))):
            value = json.loads(text)
            yield from ((name, place) for name in names for place in _destinations(value))


_PLACES: Final = frozenset({"bucket", "container", "host", "hostname", "server"})


def _destinations(value: object) -> list[str]:
    kind = str(value.get("type", "")) if isinstance(value, Mapping) else ""
    found = []
    for place, text, _ in _leaves(value, "", is_credential=False):
        if "://" in text:
            found.append(text)
        elif place.rpartition(".")[2].lower() in _PLACES:
            found.append(f"{kind}://{text}")
    return found or [f"{kind}:"]


def expand_secrets(
    params: Iterable[tuple[str, str]],
    lookup: Callable[[str], str | None],
    may_go: Callable[[str, str], bool] = lambda name, destination: True,
) -> tuple[tuple[str, str], ...]:
    """
    Return *params* as they are sent, every reference replaced by what *lookup* says it is.

    A secret lands inside its JSON string whatever characters it has. Raises InvalidInput
    naming every secret for which *lookup* has None, or that *may_go* refuses a destination.
    """
    stored = tuple(params)
    if JSON_PARAMS.isdisjoint(dict(stored)):
        return stored
    check_destinations(stored, may_go)
    values = {name: lookup(name) for name in sorted(secret_names(stored))}
    missing = [name for name, secret in values.items() if secret is None]
    if missing:
        raise InvalidInput(
            f"no secret is called {', '.join(missing)}: name in the configuration where it is kept"
        )
    secrets = {name: secret for name, secret in values.items() if secret is not None}
    if broken := [name for name, secret in secrets.items() if not _is_whole(secret)]:
        raise InvalidInput(f"the secret {', '.join(broken)} is no text in UTF-8: store it as such")
    return tuple(
        (key, _expand_json(text, secrets) if key in JSON_PARAMS else text) for key, text in stored
    )


def check_destinations(
    params: Iterable[tuple[str, str]], may_go: Callable[[str, str], bool]
) -> None:
    """Raise InvalidInput where a secret would be sent to a place that is none of its own."""
    for name, destination in secret_destinations(params):
        if not may_go(name, destination):
            shown = destination.partition("?")[0].rpartition("@")[2]
            raise InvalidInput(
                f"the secret {name} may not go to {shown}: `for` in [secrets] says where it may"
            )


def _is_whole(secret: str) -> bool:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return False
    return True


def _expand_json(text: str, secrets: Mapping[str, str]) -> str:
    filled = _fill(json.loads(text), secrets)
    return json.dumps(filled, ensure_ascii=False, separators=(",", ":"))


def _fill(value: object, secrets: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _fill(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, secrets) for item in value]
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: secrets[match[1]], value)
    return value


def _leaves(value: object, place: str, *, is_credential: bool) -> Iterator[tuple[str, str, bool]]:
    """Yield every text and number within *value*: its place, itself, and if its keys say secret."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            inherited = is_credential and _joined(key) not in _HARMLESS_AMONG_CREDENTIALS
            secret = inherited or _names_credential(key)
            yield from _leaves(item, f"{place}.{key}", is_credential=secret)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{place}[{index}]", is_credential=is_credential)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield place, str(value), is_credential


def _names_credential(key: str) -> bool:
    words = _words(key)
    if "".join(words) in _HARMLESS_AMONG_CREDENTIALS:
        return False
    names_a_key = "key" in words and not _KEY_OWNERS.isdisjoint(words)
    return names_a_key or any(_CREDENTIAL.fullmatch(word) for word in words)


def _joined(key: str) -> str:
    return "".join(_words(key))


def _words(key: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(key)]
