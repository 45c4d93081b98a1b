"""A run asked for by hand: written as a row that the daemon sends."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from scheduler.actions.guards import check_secrets, edited_meanwhile
from scheduler.actions.limits import within_limits
from scheduler.actions.once import check_key_of_run, shown_key
from scheduler.actions.run_defaults import run_defaults_of
from scheduler.config import Config
from scheduler.domain.batch import Chunk, DueTime, split_run
from scheduler.domain.definition import fill_placeholders
from scheduler.domain.errors import Conflict, InvalidInput, KeyReused
from scheduler.domain.new_run import requested_run
from scheduler.domain.records import (
    Account,
    Batch,
    Collector,
    JsonObject,
    NewRun,
    QueueOrder,
    StoredBody,
)
from scheduler.domain.request import (
    BodyWriter,
    Params,
    SendAs,
    Spool,
    TriggerOptions,
    choose_behaviour,
    query_string,
    read_object,
    render_body,
    render_name,
    trigger_params,
)
from scheduler.domain.timetable import find_zone
from scheduler.inputs import (
    ANY_FILE,
    InputFiles,
    Warn,
    iter_bodies,
    iter_inputs,
    not_empty,
    read_inputs,
    write_body,
)
from scheduler.storage import accounts, definitions, runs
from scheduler.storage.audit import record_change
from scheduler.storage.body_parts import DatabaseSpool
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import announce
from scheduler.views.collectors import get_or_accept
from scheduler.views.runs import RunView, get_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What a person asks to be sent. Exactly one of *batch*, *file*, *inputs* and *bodies* says with
    what; each of the *bodies* is a trigger of its own.

    What is None is as the collector has it. A *key* makes a repeated request no second run.
    With *asks_first* what is beyond a limit needs a word, which is *confirmed*; else it is written,
    and skipped by whoever sends.
    """

    collector: str
    batch: str | None = None
    file: Path | None = None
    inputs: Sequence[JsonObject] = ()
    bodies: Sequence[StoredBody] = ()
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
    key: str | None = None
    asks_first: bool = False
    confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The exact trigger that a request comes to, secrets as references."""

    account: Account
    collector: Collector
    batch: Batch | None
    params: Params
    bodies: tuple[StoredBody, ...]

    @property
    def body(self) -> StoredBody:
        """Return the only body, or the first."""
        return self.bodies[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """
    The run that was asked for; it *is_new*, or was asked for before under the same key.

    Where it takes several triggers, *run* is the first of them.
    """

    run: RunView
    is_new: bool


def prepare_trigger(
    db: Database,
    request: Request,
    *,
    config: Config,
    now: datetime,
    files: InputFiles = ANY_FILE,
    warn: Warn | None = None,
    spool: Spool | None = None,
) -> Prepared:
    """
    Return what would be sent, a batch from *files* only; what is doubtful is told to *warn*.

    The parts of a large body go to *spool*; without it they are held in memory. Raises NotFound,
    InvalidInput or InputsError.
    """
    with db.reading() as conn:
        collector = get_or_accept(conn, request.collector)
        account = accounts.get_account(conn, collector.account)
        batch = None if request.batch is None else definitions.get_batch(conn, request.batch)
    params = _params(request, collector, now)
    check_secrets(query_string(params), config)
    return Prepared(
        account=account,
        collector=collector,
        batch=batch,
        params=params,
        bodies=_bodies(request, batch, now, files, warn, spool),
    )


def request_trigger(
    db: Database,
    request: Request,
    *,
    config: Config,
    by: str,
    now: datetime,
    files: InputFiles = ANY_FILE,
) -> Requested:
    """
    Write the run that the daemon is to send, unless there is one of its key and the same request.

    Raises as prepare_trigger, Conflict where what it names is edited while inputs are read, and
    KeyReused where its key is that of another request.
    """
    if request.key == "":
        raise InvalidInput("the key is empty: name what this request is known by")
    # Read outside of any transaction: on SQLite all others would wait for it.
    spool = DatabaseSpool(db, now)
    prepared = prepare_trigger(db, request, config=config, now=now, files=files, spool=spool)
    request = replace(request, bodies=prepared.bodies)
    with spool.dropping_unused(*prepared.bodies), db.writing() as conn:
        _check_unchanged(conn, prepared)
        run_id = _write(conn, request, prepared, config=config, by=by, now=now)
        if run_id is None:
            return Requested(run=_run_of_key(conn, request), is_new=False)
        record_change(conn, by, "trigger", f"runs.{run_id}", now=now)
        announce(conn)
        return Requested(run=get_run(conn, run_id), is_new=True)


def _check_unchanged(conn: Connection, prepared: Prepared) -> None:
    collector, batch = prepared.collector, prepared.batch
    if get_or_accept(conn, collector.name) != collector:
        raise Conflict(f"collector {collector.name!r} was edited just now: ask again")
    if batch is not None and definitions.get_batch(conn, batch.name) != batch:
        raise edited_meanwhile(batch.name)


def _write(
    conn: Connection,
    request: Request,
    prepared: Prepared,
    *,
    config: Config,
    by: str,
    now: datetime,
) -> int | None:
    queue = definitions.list_queues(conn).get(request.queue or "")
    run = requested_run(
        prepared.collector,
        prepared.params,
        prepared.body,
        batch=request.batch,
        order=QueueOrder.STRICT if queue is None else queue.queue_order,
        priority=request.priority,
        defaults=run_defaults_of(config),
        now=now,
    )
    definitions.insert_bodies(conn, prepared.bodies, now=now)
    chunks = _split(run, prepared.bodies, request.key)
    is_known = request.key is not None and runs.has_key(conn, request.key)
    if request.asks_first and not is_known:
        chunks = within_limits(conn, chunks, now=now, confirmed=request.confirmed)
    first, *others = chunks
    if request.key is None:
        run_id: int | None = runs.insert_run(conn, first, by=by)
    else:
        check_key_of_run(conn, request.key)
        digest = _digest(request)
        run_id = runs.insert_keyed(conn, first, by=by, key=request.key, digest=digest)
    if run_id is not None:
        for chunk in others:
            runs.insert_run(conn, chunk, by=by)
    return run_id


def _split(run: NewRun, bodies: Sequence[StoredBody], key: str | None) -> list[NewRun]:
    """Return a run for each body; they go in order, by an order key of their own if need be."""
    if len(bodies) == 1:
        return [run]
    if run.confirm_cancel:
        raise InvalidInput(
            f"confirm_cancel does not go with {len(bodies)} triggers, into which"
            " max_inputs_per_trigger divides the inputs: each would cancel the one before"
        )
    own = f"request:{key or bodies[0].fingerprint}/{run.due_at.isoformat()}"
    ordered = run if run.order_key is not None else replace(run, order_key=own)
    return split_run(ordered, [Chunk(body.fingerprint, body.row_count, body) for body in bodies])


def check_request(conn: Connection, request: Request, *, config: Config, now: datetime) -> None:
    """Raise InvalidInput for what no inputs can make right, and NotFound for its collector."""
    params = _params(request, get_or_accept(conn, request.collector), now)
    check_secrets(query_string(params), config)


def find_requested(conn: Connection, request: Request) -> RunView | None:
    """
    Return the run that was asked for under the key of *request*; None if there is none.

    Raises KeyReused where that was another request.
    """
    if request.key is None or not runs.has_key(conn, request.key):
        return None
    return _run_of_key(conn, request)


def _run_of_key(conn: Connection, request: Request) -> RunView:
    key = request.key or ""
    run_id, digest = runs.get_keyed(conn, key)
    if digest != _digest(request):
        said = shown_key(key)
        raise KeyReused(
            f"key {said!r} was used for another request, which is run {run_id}: take a new key for"
            " this one"
        )
    return get_run(conn, run_id)


def _digest(request: Request) -> str:
    """Return what two requests have in common if they ask for the same: a file by its content."""
    asked = {field.name: getattr(request, field.name) for field in fields(request)}
    for name in ("key", "asks_first", "confirmed", "file", "inputs", "bodies"):
        del asked[name]
    named = [body.fingerprint for body in request.bodies]
    asked["body"] = None if request.batch is not None else ",".join(named)
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _params(request: Request, collector: Collector, now: datetime) -> Params:
    template = request.name or collector.trigger_name
    name = template and render_name(
        template, schedule=collector.name, due_at=now, zone=find_zone("UTC")
    )
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
            notify=_filled("notify", request.notify or collector.notify, collector, now),
            deliver=_filled("deliver", request.deliver or collector.deliver, collector, now),
        )
    )


def _filled(
    what: str, text: str | None, collector: Collector, now: datetime
) -> dict[str, Any] | None:
    """Return an object with its placeholders filled in as those of the name are."""
    if text is None:
        return None
    written = read_object(text, what=what)
    return fill_placeholders(written, collector.name, due_at=now, zone=find_zone("UTC"))


def _bodies(
    request: Request,
    batch: Batch | None,
    now: datetime,
    files: InputFiles,
    warn: Warn | None,
    spool: Spool | None,
) -> tuple[StoredBody, ...]:
    ways = (request.batch is not None, request.file is not None, request.inputs, request.bodies)
    if sum(map(bool, ways)) != 1:
        raise InvalidInput("say with what to trigger: exactly one of a batch, a file and inputs")
    if request.bodies:
        return tuple(request.bodies)
    if batch is not None:
        # It has no floors, and is one trigger: what a person sends now is no canary's.
        send_as = request.send_as or SendAs(batch.send_as)
        sent = replace(batch, send_as=send_as, canary=None)
        due = DueTime(now, "UTC")
        return (_only_body(batch, iter_bodies(sent, due, files=files, warn=warn, spool=spool)),)
    send_as = request.send_as or SendAs.JSON
    if request.file is None:
        return (render_body(list(request.inputs), send_as),)
    # A file that a person names now is read wherever it is, but for what holds a secret.
    named = replace(files, roots=None)
    if send_as is SendAs.JSON:
        inputs = not_empty(iter_inputs(request.file, files=named, warn=warn), str(request.file))
        return (write_body((one.value for one in inputs), BodyWriter(send_as, spool=spool)),)
    return (render_body(read_inputs(request.file, files=named, warn=warn), send_as),)


def _only_body(batch: Batch, bodies: Iterator[StoredBody]) -> StoredBody:
    """Return what a batch makes by its rules, which must be a single trigger's."""
    body, *others = islice(bodies, 2)
    if others:
        raise InvalidInput(
            f"batch {batch.name!r} has more inputs than max_inputs_per_trigger"
            f" ({batch.max_inputs_per_trigger}): only a schedule sends it, in chunks"
        )
    return body
