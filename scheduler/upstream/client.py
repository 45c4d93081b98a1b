"""One account's upstream: every call it knows, and no other HTTP client in this program."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from math import inf
from typing import Final
from urllib.parse import quote

import httpx

from scheduler import __version__
from scheduler.clock import Clock, boot_seconds, utc_now
from scheduler.domain.account_questions import Balance, Bill, BilledBy, UpstreamCollector
from scheduler.domain.answers import (
    CancelAnswer,
    Done,
    DownloadAnswer,
    ErrorsAnswer,
    InputsAnswer,
    JobsAnswer,
    ListedJob,
    LogAnswer,
    PageAnswer,
    Refused,
    Unanswered,
)
from scheduler.domain.errors import InvalidAccount, InvalidInput, SchedulerError
from scheduler.domain.relayed import RERUN_FAILED
from scheduler.domain.reply import TriggerReply
from scheduler.domain.request import Params, Pieces, TriggerRequest, query_string, time_to_send
from scheduler.upstream.account_answers import read_balance, read_bill, read_collectors
from scheduler.upstream.dataset import DatasetReader
from scheduler.upstream.exchange import BodyReader, CappedBody, Exchanges, Forward, HeadOfBody
from scheduler.upstream.observed import Observe, call_of, class_of, unobserved
from scheduler.upstream.question_answers import (
    read_cancel,
    read_download,
    read_errors,
    read_failure,
    read_inputs,
    read_jobs_page,
    read_log,
)
from scheduler.upstream.redaction import redact
from scheduler.upstream.response import Response
from scheduler.upstream.transport import UpstreamTransport
from scheduler.upstream.trigger_reply import read_trigger_reply
from scheduler.upstream.wire import Headers, Request, SendGuard, Wire

_MOST_TRIGGER_ANSWER: Final = 64 * 1024
_MOST_ANSWER: Final = 8 * 1024 * 1024
# "limit=(0-500)" (DCA, 2).
_PAGE_SIZE: Final = 500
_MOST_PAGES: Final = 20
_LONGEST_RELAY: Final = timedelta(hours=1)
_LONGEST_DOWNLOAD: Final = timedelta(hours=6)
_DOWNLOADS: Final = 8

Take = Callable[[bytes], Awaitable[None]]
"""Takes a piece of a dataset; the next is read once it has."""

NOT_PASSED_ON: Final = (401, 403, 429, *range(300, 400))
"""What the upstream says to us and not to a client: of our token, of our rate, to go elsewhere."""

_HEADERS: Final = {
    "User-Agent": f"dca-scheduler/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}


class Dca:
    """
    The upstream as one account sees it. No call raises for what the network or upstream can do.

    *token* is asked before each request, so a new one is used at once; where it cannot be read,
    nothing is sent. Each request, the wait for one of the *connections* included, lasts
    *total_timeout* at most, a large one a second longer for each MiB. A question goes on when its
    caller is cancelled; a trigger ends with what is known. *observe* is told of each. *wire* opens
    what carries them to an origin.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token: Callable[[], str],
        total_timeout: timedelta,
        connections: int,
        clock: Clock = utc_now,
        observe: Observe = unobserved,
        wire: Wire = UpstreamTransport,
    ) -> None:
        self._flaw, url = _read_url(base_url)
        self._prefix = url.raw_path.decode().rstrip("/")
        self._token = token
        # Not for ever: tokens are renewed, and a multipart body brings its own content type.
        self._headers = lru_cache(maxsize=8)(_headers)
        self._clock = clock
        self._observe = observe
        self._told_time: tuple[datetime, float] | None = None
        origin = f"{url.scheme}://{url.netloc.decode()}"
        self._exchanges = Exchanges(
            wire(origin), total_timeout=total_timeout, connections=connections, clock=clock
        )
        # Apart: what takes hours takes no trigger's connection.
        self._downloads = Exchanges(
            wire(origin), total_timeout=_LONGEST_DOWNLOAD, connections=_DOWNLOADS, clock=clock
        )

    async def trigger(self, request: TriggerRequest, *, send_before: float) -> TriggerReply:
        """
        Start one collection: billed, and not idempotent.

        It is sent at most once, and not at all once `clock.boot_seconds` has passed *send_before*.
        Only what provably never left, or was turned away, is Deferred; what is unclear is Lost.
        A caller that is cancelled meanwhile gets its answer, too: what is known by then.
        """
        response = await self._exchange(
            "POST",
            _path("/dca/trigger", request.params),
            CappedBody(_MOST_TRIGGER_ANSWER),
            content=request.body,
            content_type=request.content_type,
            guard=SendGuard(send_before=send_before),
            params=request.params,
        )
        return read_trigger_reply(response)

    async def get_log(self, collection_id: str) -> LogAnswer:
        """Ask how a collection fares."""
        response = await self._ask("GET", f"/dca/log/{quote(collection_id, safe='')}")
        return read_log(response, collection_id)

    async def list_jobs(self, collector_id: str, *, from_date: date, to_date: date) -> JobsAnswer:
        """
        List all jobs of a collector from *from_date* to *to_date*, UTC days included, oldest first.

        Takes one request per 500 jobs and 20 at most. Either all are listed, or Unanswered.
        """
        found: dict[str, ListedJob] = {}
        offset = 0
        for _ in range(_MOST_PAGES):
            params = _page_params(collector_id, from_date, to_date, offset, is_ascending=True)
            page = await self._jobs_page(params)
            if isinstance(page, Unanswered):
                return page
            if isinstance(page, Refused):
                return Unanswered(detail=page.detail, status=page.status)
            if page.unread:  # it might be the very job that is looked for
                return Unanswered(detail="a row of the jobs list has no readable id", status=200)
            found.update((job.id, job) for job in page.jobs)
            # By what came, not by what was asked for: the upstream may give smaller pages.
            offset += len(page.jobs)
            if page.total is not None and offset >= page.total:
                return tuple(found.values())
            if not page.jobs:
                return _listed_to_the_end(found, page.total)
        return Unanswered(detail=f"more than {_MOST_PAGES} pages of jobs on these days")

    async def list_newest(
        self, collector_id: str, *, from_date: date, to_date: date, offset: int = 0
    ) -> PageAnswer:
        """Ask for one page of a collector's jobs on these UTC days: 500, the newest first."""
        params = _page_params(collector_id, from_date, to_date, offset, is_ascending=False)
        return await self._jobs_page(params)

    async def get_inputs(self, collection_id: str) -> InputsAnswer:
        """Ask which inputs a collection's rows echo, in bounded memory whatever its size."""
        reader = DatasetReader()
        response = await self._ask("GET", _path("/dca/dataset", (("id", collection_id),)), reader)
        return read_inputs(response, reader)

    async def download(self, collection_id: str, take: Take) -> DownloadAnswer:
        """
        Have *take* given a collection's rows as they come; Done once it has all of them.

        It stands beside the *connections*, lasts six hours at most, and ends when its caller is
        cancelled.
        """

        async def forward(status: int, _: Mapping[str, str], piece: bytes) -> None:
            if status == 200 and piece:
                await take(piece)

        response = await self._exchange(
            "GET",
            _path("/dca/dataset", (("id", collection_id),)),
            HeadOfBody(_MOST_TRIGGER_ANSWER),
            forward=forward,
            exchanges=self._downloads,
        )
        return read_download(response)

    async def get_errors(self, collection_id: str) -> ErrorsAnswer:
        """Ask which pages of a collection failed, and why."""
        return read_errors(await self._ask("GET", _path_of_job(collection_id, "hp_errors")))

    async def list_collectors(self) -> tuple[UpstreamCollector, ...] | Refused | Unanswered:
        """Ask which collectors the account has."""
        return read_collectors(await self._ask("GET", "/dca/collectors_list"))

    async def get_balance(self) -> Balance | Refused | Unanswered:
        """Ask what the account has."""
        return read_balance(await self._ask("GET", "/customer/balance"))

    async def export_costs(
        self, by: BilledBy, *, from_date: date, to_date: date
    ) -> Bill | Refused | Unanswered:
        """Ask what was billed on the days from *from_date* until before *to_date*, in UTC."""
        asked = {"dimension": by, "from": from_date.isoformat(), "to": to_date.isoformat()}
        asking = self._exchange(
            "POST",
            "/costs/export/json",
            CappedBody(_MOST_ANSWER),
            content=json.dumps(asked).encode(),
            content_type="application/json",
            guard=SendGuard(send_before=inf),
        )
        return read_bill(await self._exchanges.finish(asking), by, before=to_date)

    async def ask_time(self) -> Unanswered | None:
        """Ask something small, for the time that any answer bears: see `time_at`."""
        response = await self._ask("GET", "/dca/collectors_list")
        return None if response.status == 200 else read_failure(response)

    async def cancel(self, collection_id: str) -> CancelAnswer:
        """Ask the upstream to end a collection."""
        return await self.change(collection_id, "cancel")

    async def change(self, collection_id: str, verb: str) -> CancelAnswer:
        """Ask the upstream to `cancel`, `pause` or `resume` a collection."""
        return read_cancel(await self._ask("POST", _path_of_job(collection_id, verb)))

    async def rerun(
        self, collection_id: str, *, failed_only: bool, send_before: float
    ) -> TriggerReply:
        """Have a collection run again: billed, and no more idempotent than a trigger."""
        response = await self._exchange(
            "POST",
            _path_of_job(collection_id, "rerun"),
            CappedBody(_MOST_TRIGGER_ANSWER),
            content=RERUN_FAILED * failed_only,
            content_type="application/json" if failed_only else None,
            guard=SendGuard(send_before=send_before),
        )
        return read_trigger_reply(response)

    async def relay(self, method: str, path: str, forward: Forward) -> Done | Unanswered:
        """
        Pass a client's question on; its answer goes to *forward* while it comes, up to an hour.

        Done once that has taken all of it; Unanswered also for what is no client's business: a
        refused token, a 429, a failure of the upstream.
        """
        asking = self._exchange(
            method,
            path,
            HeadOfBody(_MOST_TRIGGER_ANSWER),
            longer=_LONGEST_RELAY,
            forward=forward,
        )
        response = await self._exchanges.finish(asking)
        is_theirs = response.status is not None and response.status < 500
        if response.failure or not is_theirs or response.status in NOT_PASSED_ON:
            return replace(read_failure(response), credentials=response.status in (401, 403))
        return Done()

    def time_at(self, boot: float) -> datetime | None:
        """
        Return what the upstream's clock showed when `boot_seconds` read *boot*.

        By the last answer that told the time, whatever our own clock says; None before the first.
        """
        if self._told_time is None:
            return None
        told, received_at = self._told_time
        return told + timedelta(seconds=boot - received_at)

    async def close(self) -> None:
        """
        End every request under way at once and close the connections.

        Callers still get their answer: Lost for a trigger that had left.
        """
        await self._downloads.close()
        await self._exchanges.close()

    async def _ask(self, method: str, path: str, reader: BodyReader | None = None) -> Response:
        reader = reader or CappedBody(_MOST_ANSWER)
        return await self._exchanges.finish(self._exchange(method, path, reader))

    async def _exchange(
        self,
        method: str,
        path: str,
        reader: BodyReader,
        *,
        content: bytes | Pieces = b"",
        content_type: str | None = None,
        guard: SendGuard | None = None,
        params: Params = (),
        longer: timedelta = timedelta(),
        forward: Forward | None = None,
        exchanges: Exchanges | None = None,
    ) -> Response:
        if self._flaw is not None:
            return Response(clock=self._clock, failure=self._flaw)
        try:
            token = self._token()
            headers = self._headers(token, content_type)
        except InvalidAccount as error:
            return Response(clock=self._clock, failure=str(error))
        except (SchedulerError, OSError) as error:
            return Response(clock=self._clock, failure=f"the token cannot be read: {error}")
        request = Request(
            method=method,
            target=self._prefix + path,
            headers=headers,
            content=content,
            guard=guard,
        )
        secrets = partial(redact, token=token, params=params)
        longer += time_to_send(request.length)
        began = boot_seconds()
        response = await (exchanges or self._exchanges).run(
            request, reader, redact=secrets, longer=longer, forward=forward
        )
        self._observe(call_of(path), class_of(response, guard), boot_seconds() - began)
        if (told := response.told_time()) is not None:
            self._told_time = told, boot_seconds()
        return response

    async def _jobs_page(self, params: Params) -> PageAnswer:
        return read_jobs_page(await self._ask("GET", _path("/dca/collector/jobs", params)))


def _read_url(base_url: str) -> tuple[str | None, httpx.URL]:
    """Read an account's base_url; a row may hold anything, and with a failure nothing is sent."""
    try:
        url = httpx.URL(base_url)
        if url.scheme in ("http", "https") and url.host:
            return None, url
    except (httpx.InvalidURL, ValueError, TypeError):
        pass
    failure = "the account's base_url is no http(s) address: mend it in the file or the row"
    return failure, httpx.URL("http://none.invalid")


def _headers(token: str, content_type: str | None) -> Headers:
    """Return what a request bears; raises InvalidInput for a token that it cannot."""
    if not (token.isascii() and token.isprintable()) or token.split() != [token]:
        raise InvalidInput("it must be one word of plain letters, digits and signs")
    kind = {} if content_type is None else {"Content-Type": content_type}
    return Headers({**_HEADERS, "Authorization": f"Bearer {token}", **kind})


def _page_params(
    collector_id: str, from_date: date, to_date: date, offset: int, *, is_ascending: bool
) -> Params:
    return (
        ("collector", collector_id),
        ("from_date", from_date.isoformat()),
        ("to_date", to_date.isoformat()),
        ("limit", str(_PAGE_SIZE)),
        ("sort_asc", "1" if is_ascending else "-1"),
        ("offset", str(offset)),
    )


@lru_cache(maxsize=4096)  # the runs of a schedule have mostly the same
def _path(path: str, params: Params) -> str:
    return f"{path}?{query_string(params)}"


def _path_of_job(collection_id: str, what: str) -> str:
    return f"/dca/jobs/{quote(collection_id, safe='')}/{what}"


def _listed_to_the_end(found: dict[str, ListedJob], total: int | None) -> JobsAnswer:
    if total is not None and total > len(found):
        return Unanswered(detail=f"the jobs list speaks of {total} jobs and shows {len(found)}")
    return tuple(found.values())
