"""What the upstream said to a trigger, as a value: each case decides what may happen next."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A billed collection exists and this is its id. *start_eta* may be missing from the answer."""

    collection_id: str
    start_eta: datetime | None
    status: int = 200


class Refusal(StrEnum):
    """Why a trigger was refused for good (DCA, 1)."""

    INVALID = "invalid"  # 400, 404, 422 and other 4xx: this request will never be accepted
    CREDENTIALS = (
        "credentials"  # 401, 403: nothing will be accepted until the token or account is mended
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The upstream refused: no collection exists, and asking again the same way is useless."""

    refusal: Refusal
    detail: str
    status: int


class Deferral(StrEnum):
    """Why a trigger provably created nothing, and may be sent again."""

    NOT_SENT = "not_sent"  # DNS, connect or TLS failed, or we stopped before the first byte left
    THROTTLED = "throttled"  # 429
    JOB_LIMIT = "job_limit"  # the 100-jobs text: the collector is full


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """Provably not accepted: may be sent again, after *retry_after* if the upstream named one."""

    deferral: Deferral
    detail: str
    retry_after: timedelta | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The request left and no readable answer came: a billed collection may or may not exist."""

    detail: str
    status: int | None = None


TriggerReply = Accepted | Rejected | Deferred | Lost
