"""What a trigger may ask for, and the parameters that say it (DCA, 1)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, assert_never

from scheduler.domain.durations import parse_duration, upstream_duration
from scheduler.domain.errors import InvalidInput
from scheduler.domain.request.secrets import check_references

Params = tuple[tuple[str, str], ...]
"""Query parameters in the order they are sent; no name occurs twice."""

_COLLECTOR_ID: Final = re.compile(r"c_[!-~]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Behaviour(StrEnum):
    """What the upstream does with jobs that are already there: one of these, never two."""

    QUEUE_NEXT = "queue_next"  # behind what is in the collector's crawl queue
    QUEUE = "queue"  # behind what is in the named queue
    CONFIRM_CANCEL = "confirm_cancel"  # cancels the running job


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerOptions:
    """
    Everything a trigger can ask for, before secrets are filled in.

    *deadline* is text such as `90m`. *notify* and *deliver* are JSON objects that hold
    secrets only as `${secret:NAME}`.
    """

    collector_id: str
    behaviour: Behaviour = Behaviour.QUEUE_NEXT
    queue: str | None = None
    version: str | None = None
    name: str | None = None
    no_downloads: bool = False
    deadline: str | None = None
    notify: Mapping[str, object] | None = None
    deliver: Mapping[str, object] | None = None


def choose_behaviour(
    *, queue: str | None, queue_next: bool = False, confirm_cancel: bool = False
) -> Behaviour:
    """Return the one behaviour asked for, `queue_next` if none is; two are InvalidInput."""
    asked = {
        Behaviour.QUEUE: queue is not None,
        Behaviour.QUEUE_NEXT: queue_next,
        Behaviour.CONFIRM_CANCEL: confirm_cancel,
    }
    chosen = [behaviour for behaviour, is_asked in asked.items() if is_asked]
    if len(chosen) > 1:
        raise InvalidInput(f"{' and '.join(chosen)} exclude each other: keep one of them")
    return chosen[0] if chosen else Behaviour.QUEUE_NEXT


def read_object(text: str, *, what: str) -> Mapping[str, object]:
    """Read *text*, a stored `notify` or `deliver` (*what*), as a JSON object, or InvalidInput."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(f'{what} must be a JSON object, such as {{"type": "email"}}')
    return value


def trigger_params(options: TriggerOptions) -> Params:
    """
    Return the query that asks for *options* and nothing else: what is not asked for is not sent.

    Secrets stay references, so the result may be stored and shown; `expand_secrets` makes
    what is sent. Raises InvalidInput for what the upstream does not document, and for a
    credential written out.
    """
    if not _COLLECTOR_ID.fullmatch(options.collector_id):
        raise InvalidInput(
            f"{options.collector_id!r} is not a collector's id: it starts with c_ and has no spaces"
        )
    optional = {
        "version": _version(options.version),
        "name": _text("name", options.name),
        **_behaviour_param(options),
        "no_downloads": "1" if options.no_downloads else None,
        "deadline": _deadline(options.deadline),
        "notify": _json("notify", options.notify),
        "deliver": _json("deliver", options.deliver),
    }
    asked = ((key, value) for key, value in optional.items() if value is not None)
    return (("collector", options.collector_id), *asked)


def _behaviour_param(options: TriggerOptions) -> dict[str, str | None]:
    if (options.queue is not None) != (options.behaviour is Behaviour.QUEUE):
        raise InvalidInput(
            f"queue {options.queue!r} does not go with the behaviour {options.behaviour}:"
            " a queue's name is given with queue, and only with it"
        )
    match options.behaviour:
        case Behaviour.QUEUE_NEXT:
            return {"queue_next": "1"}
        case Behaviour.QUEUE:
            return {"queue": _text("queue", options.queue)}
        case Behaviour.CONFIRM_CANCEL:
            return {"confirm_cancel": "1"}
        case _:
            assert_never(options.behaviour)


def _version(version: str | None) -> str | None:
    if version not in (None, "dev"):
        raise InvalidInput(
            f"version {version!r} is unknown: write dev, or leave it out for the live version"
        )
    return version


def _deadline(deadline: str | None) -> str | None:
    return None if deadline is None else upstream_duration(parse_duration(deadline))


def _text(key: str, text: str | None) -> str | None:
    if text is None:
        return None
    if not text.strip() or _CONTROL.search(text):
        raise InvalidInput(f"{key} {text!r} must be one line of text, and not empty")
    return text


def _json(key: str, value: Mapping[str, object] | None) -> str | None:
    if value is None:
        return None
    try:
        check_references(value, place=key)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()  # half a character has no place in a query
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{key} cannot be written as JSON: {error}") from None
    return text
