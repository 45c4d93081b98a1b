"""What a request of curl means here: a trigger of this API, with its behaviour and its inputs."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from scheduler.actions.definition_columns import holds_null
from scheduler.domain.durations import parse_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import SendAs, check_name_template, read_object
from scheduler.tools.crontab_import.credentials import take_credentials
from scheduler.tools.crontab_import.http_call import HttpCall, Piece, body_of, read_call
from scheduler.tools.crontab_import.shell_line import UNSET, Call

_PATH: Final = "/dca/trigger"
_PLACEHOLDER: Final = re.compile(r"\{due_at:[^{}]*\}")
_VARIABLE: Final = re.compile(rf"{UNSET}(?:\{{[A-Za-z_]\w*\}}|[A-Za-z_]\w*)")
_SUFFIXES: Final = (".csv", ".json", ".jsonl", ".ndjson")
_HEADERS_WITHOUT_MEANING: Final = frozenset(
    {"authorization", "content-type", "accept", "user-agent", "content-length", "expect"}
)
_PARAMS: Final = frozenset(
    {"collector", "queue", "queue_next", "confirm_cancel", "name", "deadline", "version"}
    | {"no_downloads", "notify", "deliver"}
)


@dataclass(frozen=True, slots=True)
class TextBody:
    """Inputs that stand in the command itself, as CSV or as JSON."""

    text: str
    is_csv: bool


@dataclass(frozen=True, slots=True)
class FileBody:
    """A file that is read each time; *is_certain* is False where its folder is not known."""

    path: str
    is_certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """
    One trigger as definitions take it.

    *options* are keys of a schedule. *token* is what the command sends, or None; it only tells
    accounts apart, and is shown nowhere. *secrets* are names that notify and deliver refer to.
    """

    collector_id: str
    base_url: str
    token: str | None = field(repr=False)
    options: Mapping[str, Any]
    body: TextBody | FileBody
    send_as: SendAs
    secrets: tuple[str, ...]
    warnings: tuple[str, ...]


def read_trigger(call: Call, *, home: str | None) -> Trigger | None:
    """
    Return the trigger that *call* sends; None when it is no trigger of this API.

    Raises InvalidInput for one that cannot be had as a definition.
    """
    http = read_call(call)
    found = [url for url in map(_split_url, http.urls) if url.path.endswith(_PATH)]
    if not found:
        return None
    if len(found) > 1:
        raise InvalidInput("one call triggers several collectors: write a call for each")
    reader = _CallReader(http, call, home)
    return reader.read(found[0])


def _split_url(url: str) -> SplitResult:
    protected = _PLACEHOLDER.sub(lambda match: quote(match[0]), url)
    try:
        return urlsplit(protected if "://" in protected else f"https://{protected}")
    except ValueError:
        return urlsplit("")


@dataclass(slots=True)
class _CallReader:
    http: HttpCall
    call: Call
    home: str | None
    warnings: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)

    def read(self, url: SplitResult) -> Trigger:
        query = "&".join([url.query, *self.http.query])
        _check_variables(f"{url.netloc}{url.path}?{query}", "its request")
        params = dict(parse_qsl(query, keep_blank_values=True))
        collector_id = params.get("collector", "")
        if not re.fullmatch(r"c_\w+", collector_id):
            raise InvalidInput("it names no collector such as c_abc123")
        if unknown := [name for name in params if name not in _PARAMS]:
            self.warnings.append(f"parameters that are not known are left out: {_names(unknown)}")
        self._warn_of_the_rest()
        token = self._token()
        body = self._body()
        return Trigger(
            collector_id=collector_id,
            base_url=self._base_url(url),
            token=token,
            options=dict(self._options(params)),
            body=body,
            send_as=self._send_as(body),
            secrets=tuple(self.secrets),
            warnings=tuple(self.warnings),
        )

    def _base_url(self, url: SplitResult) -> str:
        base = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path.removesuffix(_PATH)}"
        is_here = url.hostname in ("localhost", "127.0.0.1", "::1")
        if url.scheme == "http" and not is_here:
            self.warnings.append("it sends the token unencrypted, to http://: https:// is written")
            base = base.replace("http://", "https://", 1)
        return base

    def _token(self) -> str | None:
        value = self.http.header("authorization")
        if value is None:
            self.warnings.append("it sends no Authorization header that could be read")
            return None
        return (value.partition(" ")[2].strip() or value).replace(UNSET, "$")

    def _warn_of_the_rest(self) -> None:
        other = [k for k, _ in self.http.headers if k.casefold() not in _HEADERS_WITHOUT_MEANING]
        if other:
            self.warnings.append(f"headers are left out: {_names(other)}")
        if self.http.unread:
            self.warnings.append(f"what curl reads by --{self.http.unread[0]} is not known here")
        if self.http.method not in (None, "POST"):
            self.warnings.append(f"it sends {self.http.method}, and the trigger is a POST")

    def _options(self, params: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
        yield from self._behaviour(params)
        if params.get("name"):
            yield from self._name(params["name"])
        if params.get("deadline"):
            yield from self._deadline(params["deadline"])
        if params.get("version") == "dev":
            yield "version", "dev"
        elif params.get("version"):
            self.warnings.append("a version other than dev is not known: left out")
        if "no_downloads" in params:
            yield "no_downloads", params["no_downloads"] not in ("", "0", "false")
        for name in ("notify", "deliver"):
            if params.get(name):
                yield from self._object(name, params[name])

    def _behaviour(self, params: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
        cancels = params.get("confirm_cancel", "0") not in ("", "0", "false")
        if params.get("queue"):
            if "{due_at" in params["queue"]:
                raise InvalidInput("the name of its queue changes with the date")
            if cancels:
                self.warnings.append("it has queue and confirm_cancel: the queue is kept")
            yield "queue", params["queue"]
        elif cancels:
            yield "confirm_cancel", True

    def _name(self, name: str) -> Iterator[tuple[str, Any]]:
        template = "".join(
            part if _PLACEHOLDER.fullmatch(part) else part.replace("{", "{{").replace("}", "}}")
            for part in re.split(rf"({_PLACEHOLDER.pattern})", name)
        )
        try:
            check_name_template(template)
        except InvalidInput as error:
            self.warnings.append(f"name is left out: {error}")
            return
        yield "name", template

    def _deadline(self, deadline: str) -> Iterator[tuple[str, Any]]:
        try:
            parse_duration(deadline)
        except InvalidInput as error:
            self.warnings.append(f"deadline is left out: {error}")
            return
        yield "deadline", deadline

    def _object(self, name: str, text: str) -> Iterator[tuple[str, Any]]:
        try:
            value, taken = take_credentials(read_object(text, what=name), place=name)
        except InvalidInput:
            self.warnings.append(f"{name} is left out: it is no JSON object that can be kept")
            return
        if taken:
            self.secrets += taken
            self.warnings.append(
                f"{name} holds credentials, which are not written: keep them where [secrets] says"
            )
        yield name, value

    def _body(self) -> TextBody | FileBody:
        piece = body_of(self.http.pieces) if self.http.pieces else Piece(text="")
        if piece is None:
            raise InvalidInput("its body is put together from several pieces")
        if piece.file == "-":
            piece = Piece(text=self.call.stdin, file=self.call.stdin_file)
        if piece.text is None and piece.file is None:
            raise InvalidInput("its body comes from a command, which only a shell can run")
        if piece.file is not None and piece.text is None:
            return self._file(piece.file)
        text = piece.text or ""
        if not text.strip():
            raise InvalidInput("it sends no inputs, and a batch needs at least one")
        if variable := _VARIABLE.search(text):
            self.warnings.append(
                f"its inputs hold {_written(variable[0])}, which the shell may have filled in"
            )
            text = _written(text)
        return TextBody(text, is_csv=self._is_csv(text))

    def _is_csv(self, text: str) -> bool:
        said = (self.http.header("content-type") or "").casefold()
        looks_like_json = text.lstrip().startswith(("[", "{"))
        if "csv" in said or "json" in said:
            return "csv" in said
        if not looks_like_json and not any(piece.is_form for piece in self.http.pieces):
            raise InvalidInput("its body is neither JSON nor said to be CSV")
        if looks_like_json:
            self.warnings.append(
                "without a Content-Type curl says that this is a form; here it is sent as JSON"
            )
        return not looks_like_json

    def _file(self, path: str) -> FileBody:
        if "{due_at" in path:
            raise InvalidInput("the name of its file of inputs changes with the date")
        suffix = posixpath.splitext(path)[1].lower()
        if suffix not in _SUFFIXES:
            raise InvalidInput(
                f"its inputs are in {path!r}: let the file's name end in .json, .jsonl or .csv,"
                " as its content is"
            )
        whole = posixpath.join(self.home or "", self._at_home(self.call.folder or ""))
        whole = posixpath.join(whole, self._at_home(path))
        _check_variables(whole, "the path of its inputs")
        return FileBody(posixpath.normpath(whole), is_certain=whole.startswith("/"))

    def _at_home(self, path: str) -> str:
        is_at_home = path == "~" or path.startswith("~/")
        return posixpath.join(self.home, path[2:]) if is_at_home and self.home else path

    def _send_as(self, body: TextBody | FileBody) -> SendAs:
        if any(piece.is_form for piece in self.http.pieces):
            return SendAs.MULTIPART
        said = (self.http.header("content-type") or "").casefold()
        if isinstance(body, TextBody):
            return SendAs.CSV if body.is_csv else SendAs.JSON
        is_csv = "csv" in said or (not said and body.path.lower().endswith(".csv"))
        return SendAs.CSV if is_csv else SendAs.JSON


def _check_variables(text: str, what: str) -> None:
    if variable := _VARIABLE.search(text):
        name = _written(variable[0])
        raise InvalidInput(f"{what} depends on {name}, which the crontab does not set")


def _written(text: str) -> str:
    return text.replace(UNSET, "$")


def read_inline_json(text: str) -> list[dict[str, Any]]:
    """Return the inputs of a JSON body; raises InvalidInput for what TOML cannot hold."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput("its body is not JSON as it stands") from None
    inputs = value if isinstance(value, list) else [value]
    if not inputs or not all(isinstance(value, dict) for value in inputs):
        raise InvalidInput("its body is no array of JSON objects")
    if any(holds_null(value) for value in inputs):
        raise InvalidInput("its inputs hold null, which TOML cannot: put them into a .json file")
    return inputs


def _names(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(names))
