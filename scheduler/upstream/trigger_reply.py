"""Reads the answer to a trigger. Pure: from what was heard to what may happen next (DCA, 1)."""

import re
from typing import Final

from scheduler.domain.reply import (
    Accepted,
    Deferral,
    Deferred,
    Lost,
    Refusal,
    Rejected,
    TriggerReply,
)
from scheduler.upstream.fields import read_id, read_json, read_moment
from scheduler.upstream.heard import Heard

_JOB_LIMIT: Final = re.compile(
    r"maximum limit of [\d.,_' ]+ jobs per \w+ has been exceeded", re.IGNORECASE
)
_SUSPENDED: Final = re.compile(r"account\b.{0,40}\bsuspended", re.IGNORECASE | re.DOTALL)
# The server gave up waiting for the request: not a word about the request itself.
_REQUEST_TIMEOUT: Final = 408


def read_trigger_reply(heard: Heard) -> TriggerReply:
    """
    Classify by what left and what came back, never by how the exchange failed.

    A body that broke off still counts if a whole JSON value with an id had arrived; what is
    neither a clear yes nor a clear no is Lost.
    """
    status = heard.status
    if not heard.left:
        return Deferred(deferral=Deferral.NOT_SENT, detail=heard.flaw or "nothing was sent")
    if status is None:
        return Lost(detail=heard.summary())
    if 200 <= status < 300:
        return _read_success(heard, status)
    if 400 <= status < 500 and status != _REQUEST_TIMEOUT:
        return _read_refusal(heard, status)
    return Lost(detail=heard.summary(), status=status)


def _read_success(heard: Heard, status: int) -> TriggerReply:
    value = read_json(heard.body)
    answer = value if isinstance(value, dict) else {}
    collection_id = read_id(answer.get("collection_id"))
    if collection_id is None:
        detail = f"no readable collection_id: {heard.summary()}"
        return Lost(detail=detail, status=status)
    start_eta = read_moment(answer.get("start_eta"))
    return Accepted(collection_id=collection_id, start_eta=start_eta, status=status)


def _read_refusal(heard: Heard, status: int) -> TriggerReply:
    words = heard.words() or f"answered {status}"
    deferral = _deferral(heard, status)
    if deferral is not None:
        pause = heard.retry_after()
        return Deferred(deferral=deferral, detail=words, retry_after=pause, status=status)
    if status in (401, 403) or _SUSPENDED.search(words):
        return Rejected(refusal=Refusal.CREDENTIALS, detail=words, status=status)
    if heard.flaw:
        # What is missing might have been the text of the job limit.
        return Lost(detail=heard.summary(), status=status)
    return Rejected(refusal=Refusal.INVALID, detail=words, status=status)


def _deferral(heard: Heard, status: int) -> Deferral | None:
    if _JOB_LIMIT.search(heard.body.decode(errors="replace")):
        return Deferral.JOB_LIMIT
    return Deferral.THROTTLED if status == 429 else None
