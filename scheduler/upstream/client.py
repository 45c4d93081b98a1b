"""One account's upstream: every call it knows, and no other HTTP client in this program."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Final
from urllib.parse import quote

import httpx

from scheduler import __version__
from scheduler.clock import Clock, utc_now
from scheduler.domain.answers import (
    CancelAnswer,
    InputsAnswer,
    JobsAnswer,
    ListedJob,
    LogAnswer,
    Unanswered,
)
from scheduler.domain.errors import InvalidInput, SchedulerError
from scheduler.domain.reply import TriggerReply
from scheduler.domain.request import Params, TriggerRequest, query_string
from scheduler.upstream.dataset import DatasetReader
from scheduler.upstream.exchange import CappedBody, Exchanges, Sink
from scheduler.upstream.heard import Heard
from scheduler.upstream.question_answers import (
    JobsPage,
    read_cancel,
    read_inputs,
    read_jobs_page,
    read_log,
)
from scheduler.upstream.redaction import scrub
from scheduler.upstream.transport import Gate, RequestBody, UpstreamTransport
from scheduler.upstream.trigger_reply import read_trigger_reply

_MOST_TRIGGER_ANSWER: Final = 64 * 1024
_MOST_ANSWER: Final = 8 * 1024 * 1024
# "limit=(0-500)" (DCA, 2).
_PAGE_SIZE: Final = 500
_MOST_PAGES: Final = 20
_HEADERS: Final = (
    (b"User-Agent", f"dca-scheduler/{__version__}".encode()),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),
)


class Dca:
    """
    The upstream as one account sees it. No call raises for what the network or upstream can do.

    *token* is asked before each request, so a new one is used at once; where it cannot be read,
    nothing is sent. Each request, the wait for one of the *connections* included, lasts
    *total_timeout* at most. It goes on when its caller is cancelled, so no connection is lost.
    *clock_difference* is how far the upstream's clock is ahead of ours, as it last told.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: Callable[[], str],
        total_timeout: timedelta,
        connections: int,
        clock: Clock = utc_now,
    ) -> None:
        url = httpx.URL(base_url)
        self._url = url
        self._prefix = url.raw_path.decode().rstrip("/")
        self._token = token
        # Not for ever: tokens are renewed, and a multipart body brings its own content type.
        self._headers = lru_cache(maxsize=8)(_headers)
        self._clock = clock
        self.clock_difference: timedelta | None = None
        self._exchanges = Exchanges(
            UpstreamTransport(f"{url.scheme}://{url.netloc.decode()}"),
            total_timeout=total_timeout,
            connections=connections,
            clock=clock,
        )

    async def trigger(self, request: TriggerRequest, *, send_before: float) -> TriggerReply:
        """
        Start one collection: billed, and not idempotent.

        It is sent at most once, and not at all once `clock.boot_seconds` has passed *send_before*.
        Only what provably never left, or was turned away, is Deferred; what is unclear is Lost.
        """
        return await self._exchanges.finish(self._trigger(request, send_before))

    async def get_log(self, collection_id: str) -> LogAnswer:
        """Ask how a collection fares."""
        heard = await self._ask("GET", f"/dca/log/{quote(collection_id, safe='')}")
        return read_log(heard, collection_id)

    async def list_jobs(self, collector_id: str, *, from_date: date, to_date: date) -> JobsAnswer:
        """
        List all jobs of a collector from *from_date* to *to_date*, UTC days included, oldest first.

        Takes one request per 500 jobs and 20 at most. Either all are listed, or Unanswered.
        """
        days = (("from_date", from_date.isoformat()), ("to_date", to_date.isoformat()))
        fixed = (("collector", collector_id), *days, ("limit", str(_PAGE_SIZE)), ("sort_asc", "1"))
        found: dict[str, ListedJob] = {}
        offset = 0
        for _ in range(_MOST_PAGES):
            page = await self._jobs_page((*fixed, ("offset", str(offset))))
            if isinstance(page, Unanswered):
                return page
            found.update((job.id, job) for job in page.jobs)
            # By what came, not by what was asked for: the upstream may give smaller pages.
            offset += len(page.jobs)
            if page.total is not None and offset >= page.total:
                return tuple(found.values())
            if not page.jobs:
                return _listed_to_the_end(found, page.total)
        return Unanswered(detail=f"more than {_MOST_PAGES} pages of jobs on these days")

    async def get_inputs(self, collection_id: str) -> InputsAnswer:
        """Ask which inputs a collection's rows echo, in bounded memory whatever its size."""
        reader = DatasetReader()
        heard = await self._ask("GET", _path("/dca/dataset", (("id", collection_id),)), reader)
        return read_inputs(heard, reader)

    async def cancel(self, collection_id: str) -> CancelAnswer:
        """Ask the upstream to end a collection."""
        return read_cancel(
            await self._ask("POST", f"/dca/jobs/{quote(collection_id, safe='')}/cancel")
        )

    async def close(self) -> None:
        """
        End every request under way at once and close the connections.

        Callers still get their answer: Lost for a trigger that had left.
        """
        await self._exchanges.close()

    async def _trigger(self, request: TriggerRequest, send_before: float) -> TriggerReply:
        gate = Gate(send_before=send_before)
        heard = await self._exchange(
            "POST",
            _path("/dca/trigger", request.params),
            CappedBody(_MOST_TRIGGER_ANSWER),
            RequestBody(request.body, gate),
            content_type=request.content_type,
            params=request.params,
        )
        return read_trigger_reply(heard)

    async def _ask(self, method: str, path: str, sink: Sink | None = None) -> Heard:
        sink = sink or CappedBody(_MOST_ANSWER)
        return await self._exchanges.finish(self._exchange(method, path, sink))

    async def _exchange(
        self,
        method: str,
        path: str,
        sink: Sink,
        body: RequestBody | None = None,
        *,
        content_type: str | None = None,
        params: Params = (),
    ) -> Heard:
        try:
            token = _check_token(self._token())
        except (SchedulerError, OSError) as error:
            return Heard(heard_at=self._clock(), flaw=f"the token cannot be read: {error}")
        request = httpx.Request(
            method,
            self._url,
            headers=self._headers(token, content_type),
            stream=body or httpx.ByteStream(b""),
            # Apart from the URL, which httpx would take to pieces and quote again.
            extensions={"target": self._prefix + path},
        )
        secrets = partial(scrub, token=token, params=params)
        gate = body.gate if body else None
        heard = await self._exchanges.run(request, sink, scrub=secrets, gate=gate)
        self.clock_difference = heard.clock_difference() or self.clock_difference
        return heard

    async def _jobs_page(self, params: Params) -> JobsPage | Unanswered:
        return read_jobs_page(await self._ask("GET", _path("/dca/collector/jobs", params)))


def _headers(token: str, content_type: str | None) -> httpx.Headers:
    headers = [*_HEADERS, (b"Authorization", b"Bearer " + token.encode())]
    if content_type is not None:
        headers.append((b"Content-Type", content_type.encode()))
    return httpx.Headers(headers)


def _path(path: str, params: Params) -> str:
    return f"{path}?{query_string(params)}"


def _check_token(token: str) -> str:
    if not (token.isascii() and token.isprintable()) or token.split() != [token]:
        raise InvalidInput("it must be one word of plain letters, digits and signs")
    return token


def _listed_to_the_end(found: dict[str, ListedJob], total: int | None) -> JobsAnswer:
    if total is not None and total > len(found):
        return Unanswered(detail=f"the jobs list speaks of {total} jobs and shows {len(found)}")
    return tuple(found.values())
