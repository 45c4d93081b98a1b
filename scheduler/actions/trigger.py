"""A run asked for by hand: written as a row that the daemon sends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from scheduler.domain.batch import DueTime
from scheduler.domain.definition import Fallbacks
from scheduler.domain.errors import InvalidInput
from scheduler.domain.new_run import requested_run
from scheduler.domain.records import Account, Batch, Collector, JsonObject, QueueOrder, StoredBody
from scheduler.domain.request import (
    Params,
    SendAs,
    TriggerOptions,
    choose_behaviour,
    read_object,
    render_body,
    render_name,
    trigger_params,
)
from scheduler.domain.timetable import find_zone
from scheduler.inputs import iter_bodies, read_inputs
from scheduler.storage import accounts, definitions, runs
from scheduler.storage.database import Connection
from scheduler.storage.dialect import announce


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What a person asks to be sent. Exactly one of *batch*, *file* and *inputs* says with what.

    What is None is as the collector has it.
    """

    collector: str
    batch: str | None = None
    file: Path | None = None
    inputs: Sequence[JsonObject] = ()
    send_as: SendAs | None = None
    queue: str | None = None
    queue_next: bool = False
    confirm_cancel: bool = False
    deadline: str | None = None
    version: str | None = None
    no_downloads: bool | None = None
    name: str | None = None
    notify: str | None = None
    deliver: str | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The exact trigger that a request comes to, secrets as references."""

    account: Account
    collector: Collector
    params: Params
    body: StoredBody


def prepare_trigger(conn: Connection, request: Request, *, now: datetime) -> Prepared:
    """Return what would be sent; raises NotFound, InvalidInput or InputsError."""
    collector = definitions.get_collector(conn, request.collector)
    return Prepared(
        account=accounts.get_account(conn, collector.account),
        collector=collector,
        params=_params(request, collector, now),
        body=_body(conn, request, now),
    )


def request_trigger(
    conn: Connection, request: Request, *, fallbacks: Fallbacks, now: datetime
) -> int:
    """Write the run that the daemon is to send, and return its id; raises as prepare_trigger."""
    prepared = prepare_trigger(conn, request, now=now)
    known = definitions.list_queues(conn)
    queue = known.get(request.queue) if request.queue is not None else None
    new = requested_run(
        prepared.collector,
        prepared.params,
        prepared.body,
        batch=request.batch,
        order=QueueOrder.STRICT if queue is None else queue.queue_order,
        priority=request.priority,
        fallbacks=fallbacks,
        now=now,
    )
    definitions.insert_bodies(conn, [prepared.body], now=now)
    run_id = runs.insert_run(conn, new)
    announce(conn)
    return run_id


def _params(request: Request, collector: Collector, now: datetime) -> Params:
    template = request.name or collector.trigger_name
    name = template and render_name(
        template, schedule=collector.name, due_at=now, zone=find_zone("UTC")
    )
    notify = request.notify or collector.notify
    deliver = request.deliver or collector.deliver
    return trigger_params(
        TriggerOptions(
            collector_id=collector.collector_id,
            behaviour=choose_behaviour(
                queue=request.queue,
                queue_next=request.queue_next,
                confirm_cancel=request.confirm_cancel,
            ),
            queue=request.queue,
            version=request.version or collector.version,
            name=name,
            no_downloads=(
                collector.no_downloads if request.no_downloads is None else request.no_downloads
            ),
            deadline=request.deadline or collector.deadline,
            notify=None if notify is None else read_object(notify, what="notify"),
            deliver=None if deliver is None else read_object(deliver, what="deliver"),
        )
    )


def _body(conn: Connection, request: Request, now: datetime) -> StoredBody:
    given = [request.batch is not None, request.file is not None, bool(request.inputs)]
    if sum(given) != 1:
        raise InvalidInput("say with what to trigger: exactly one of a batch, a file and inputs")
    if request.batch is not None:
        batch = definitions.get_batch(conn, request.batch)
        send_as = request.send_as or SendAs(batch.send_as)
        return _only_body(replace(batch, send_as=send_as), DueTime(now, "UTC"))
    inputs = request.inputs if request.file is None else read_inputs(request.file)
    return render_body(list(inputs), request.send_as or SendAs.JSON)


def _only_body(batch: Batch, due: DueTime) -> StoredBody:
    """Return what a batch makes by its rules, which must be a single trigger's."""
    body, *others = islice(iter_bodies(batch, due), 2)
    if others:
        raise InvalidInput(
            f"batch {batch.name!r} has more inputs than max_inputs_per_trigger"
            f" ({batch.max_inputs_per_trigger}): only a schedule sends it, in parts"
        )
    return body
