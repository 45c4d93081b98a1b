"""Reads the answer to a trigger. Pure: from what was response to what may happen next (DCA, 1)."""

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
from scheduler.upstream.fields import read_answer, read_id, read_json, read_moment
from scheduler.upstream.response import Response

_JOB_LIMIT: Final = re.compile(
    r"maximum limit of [\d.,_' ]+ jobs per \w+ has been exceeded", re.IGNORECASE
)
_SUSPENDED: Final = re.compile(r"account\b.{0,40}\bsuspended", re.IGNORECASE | re.DOTALL)
# The server gave up waiting for the request: not a word about the request itself.
_REQUEST_TIMEOUT: Final = 408


def read_trigger_reply(response: Response) -> TriggerReply:
    """
    Classify by what left and what came back, never by how the exchange failed.

    A body that broke off still counts if a whole JSON value with an id had arrived; what is
    neither a clear yes nor a clear no is Lost.
    """
    status = response.status
    if not response.left:
        return Deferred(deferral=Deferral.NOT_SENT, detail=response.failure or "nothing was sent")
    if status is None:
        return Lost(detail=response.summary())
    if 200 <= status < 300:
        return _read_success(response, status)
    if 400 <= status < 500 and status != _REQUEST_TIMEOUT:
        return _read_refusal(response, status)
    return Lost(detail=response.summary(), status=status)


def _read_success(response: Response, status: int) -> TriggerReply:
    answer = read_answer(read_json(response.body))
    collection_id = read_id(answer.get("collectionid"))
    if collection_id is None:
        detail = f"no readable collection_id: {response.summary()}"
        return Lost(detail=detail, status=status)
    start_eta = read_moment(answer.get("starteta"))
    return Accepted(collection_id=collection_id, start_eta=start_eta, status=status)


def _read_refusal(response: Response, status: int) -> TriggerReply:
    words = response.words() or f"answered {status}"
    deferral = _deferral(response, status)
    if deferral is not None:
        pause = response.retry_after()
        return Deferred(deferral=deferral, detail=words, retry_after=pause, status=status)
    if not response.is_the_upstreams:
        # A gateway's page: whether anything was taken behind it, only the jobs list can tell.
        return Lost(detail=response.summary(), status=status)
    if status in (401, 403) or _SUSPENDED.search(words):
        return Rejected(refusal=Refusal.CREDENTIALS, detail=words, status=status)
    if response.failure:
        # What is missing might have been the text of the job limit.
        return Lost(detail=response.summary(), status=status)
    return Rejected(refusal=Refusal.INVALID, detail=words, status=status)


def _deferral(response: Response, status: int) -> Deferral | None:
    if _JOB_LIMIT.search(response.body.decode(errors="replace")):
        return Deferral.JOB_LIMIT
    return Deferral.THROTTLED if status == 429 else None
