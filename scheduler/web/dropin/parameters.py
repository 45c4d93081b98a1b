"""What a trigger asks for, from the query and the headers of the vendor's contract (DCA, 1)."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from scheduler.actions.once import LONGEST_KEY, run_key
from scheduler.actions.trigger import Request
from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import SendAs, read_object
from scheduler.domain.request.secrets import check_references
from scheduler.web.problems import Refused

_KNOWN: Final = (
    *("collector", "version", "name", "queue_next", "queue", "confirm_cancel"),
    *("no_downloads", "deadline", "notify", "deliver"),
)
_FLAGS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("1", "true", "True"), True),
    **dict.fromkeys(("0", "false", "False"), False),
}
_KINDS: Final[Mapping[str, SendAs]] = {
    "application/json": SendAs.JSON,
    "text/csv": SendAs.CSV,
    "multipart/form-data": SendAs.MULTIPART,
}
_CHARSETS: Final = ("utf-8", "utf8", "us-ascii")
_KEY: Final = re.compile(rf"[!-~](?:[ -~]{{0,{LONGEST_KEY - 2}}}[!-~])?")
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,6})\"?")
NO_COLLECTOR: Final = "Missing collector parameter: add ?collector=c_…, or a name of [collectors]"
LONGEST_WAIT: Final = 300
"""In seconds: proxies between give up sooner or later."""


def bad(detail: str) -> Refused:
    """Return the refusal of a parameter."""
    return Refused(400, "bad-parameter", detail)


def read_parameters(query: Iterable[tuple[str, str]]) -> Request:
    """Return what the *query* asks for; *collector* is as it was said. Raises Refused, 400."""
    given = read_query(query, _KNOWN)
    if not given.get("collector"):
        raise bad(NO_COLLECTOR)
    flags = {
        name: _flag(name, given.get(name))
        for name in ("queue_next", "confirm_cancel", "no_downloads")
    }
    template = given.get("name")
    return Request(
        collector=given["collector"],
        version=given.get("version"),
        # A name is sent as it is: what it has in braces is no placeholder of ours.
        name=template and template.replace("{", "{{").replace("}", "}}"),
        # "Seen in the wild: queue_next=1&queue=NAME sent together is accepted" (DCA, 1).
        queue_next=flags["queue_next"] is True and given.get("queue") is None,
        queue=given.get("queue"),
        confirm_cancel=flags["confirm_cancel"] is True,
        no_downloads=flags["no_downloads"],
        deadline=given.get("deadline"),
        notify=_object("notify", given.get("notify")),
        deliver=_object("deliver", given.get("deliver")),
    )


def read_query(query: Iterable[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    """Return the parameters of a *query*, each of them *known*, and there once; raises Refused."""
    pairs = list(query)
    for name, count in Counter(name for name, _ in pairs).items():
        if name not in known:
            raise bad(f"the parameter {name[:40]!r} is not known: there are {', '.join(known)}")
        if count > 1:
            raise bad(f"{name} is there {count} times: keep one")
    for name, value in pairs:
        if "\ufffd" in value:  # what stands for bytes that are no text
            raise bad(f"{name} is not text in UTF-8: write é as %C3%A9")
    return dict(pairs)


def read_kind(content_type: str | None) -> SendAs:
    """Return what kind of body comes; raises Refused, 415."""
    kind, *options = (content_type or "").split(";")
    charsets = [
        value.strip().strip('"').lower()
        for name, _, value in (option.partition("=") for option in options)
        if name.strip().lower() == "charset"
    ]
    found = _KINDS.get(kind.strip().lower())
    if found is None or any(charset not in _CHARSETS for charset in charsets):
        said = f"of Content-Type {content_type[:60]!r}" if content_type else "without Content-Type"
        raise Refused(
            415,
            "content-type",
            f"a body {said} is not taken:"
            " send application/json (an array of objects), text/csv or multipart/form-data, in"
            " UTF-8; curl: -H 'Content-Type: application/json' --data-binary @inputs.json",
        )
    return found


def read_key(headers: Sequence[str], token: str) -> str | None:
    """Return the key of a request, which is the *token*'s own; raises Refused, 400."""
    if not headers:
        return None
    if len(headers) > 1:
        raise bad(f"Idempotency-Key is there {len(headers)} times: keep one")
    header = headers[0]
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if not _KEY.fullmatch(key):
        raise bad(f"Idempotency-Key must be 1 to {LONGEST_KEY} plain characters, such as a UUID")
    return run_key(token, key)


def read_wait(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=N`, 300 at most; None where it says nothing."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), LONGEST_WAIT) if found else None


def _flag(name: str, text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in _FLAGS:
        raise bad(f"{name}={text[:20]!r} is neither 1 nor 0: leave it out, or write one of them")
    return _FLAGS[text]


def _object(name: str, text: str | None) -> str | None:
    """Check a `notify` or `deliver` of a caller: secrets are the configuration's alone."""
    if text is None:
        return None
    try:
        value = read_object(text, what=name)
        if "${" in text:
            raise InvalidInput(f"{name} holds ${{…}}")
        check_references(value, place=name)
    except InvalidInput as error:
        what, _, _ = str(error).partition(":")
        if "holds" not in what:
            raise bad(str(error)) from None
        raise bad(
            f"{what}, which is not taken from a request: write {name} with ${{secret:NAME}} in"
            f" [collectors.NAME] of the configuration, and leave {name} out here"
        ) from None
    except RecursionError:
        raise bad(f"{name} is nested too deeply") from None
    return text
