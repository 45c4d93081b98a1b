"""What a run sends, or has sent: the inputs of its body."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from scheduler.domain.errors import NotFound
from scheduler.domain.failed_inputs import ErrorClass, FailedInput
from scheduler.domain.records import JsonObject, RunState
from scheduler.inputs import iter_stored
from scheduler.storage import collections_, definitions, failed_inputs, runs
from scheduler.storage.body_parts import iter_text
from scheduler.storage.database import Connection
from scheduler.storage.rows import values_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInputs:
    """Some of a run's inputs, in the order they are sent: *skipped* stand before them."""

    run_id: int
    body: str
    send_as: str
    input_count: int
    byte_count: int
    skipped: int
    inputs: list[JsonObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedInputView(FailedInput):
    """An input that failed, and what helps: a class of errors."""

    kind: ErrorClass


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedInputs:
    """
    Which inputs of a run failed: those *after* a place among what was sent, of *failed_count*.

    That is None where it is not known (yet): the upstream is asked once a run has ended partial or
    failed. The first 10,000 are kept. *retries* are the runs that send them once more.
    """

    run_id: int
    state: RunState
    failed_count: int | None
    items: tuple[FailedInputView, ...]
    retries: tuple[int, ...]


def list_failed_inputs(
    conn: Connection, run_id: int, *, limit: int, after: int = -1
) -> FailedInputs:
    """Return *limit* failed inputs of a run, in the order they were sent; raises NotFound."""
    run = runs.get_run(conn, run_id)
    of_run = collections_.list_collections(conn, run_id)
    counts = [one.failed_inputs for one in of_run if one.failed_inputs is not None]
    return FailedInputs(
        run_id=run_id,
        state=run.state,
        failed_count=sum(counts) if counts else None,
        items=tuple(
            FailedInputView(**values_of(one), kind=one.error_class)
            for one in failed_inputs.list_failed(conn, run_id, limit=limit, after=after)
        ),
        retries=tuple(failed_inputs.list_retries(conn, run_id)),
    )


def list_run_inputs(conn: Connection, run_id: int, *, limit: int, skip: int = 0) -> RunInputs:
    """Return *limit* inputs of a run after *skip* of them; NotFound where it was given none."""
    run = runs.get_run(conn, run_id)
    if run.body is None:
        raise NotFound(f"run {run_id} was never given its inputs: it is {run.state}, {run.reason}")
    body = definitions.get_body(conn, run.body)
    every: Iterator[JsonObject] = iter_stored(body.send_as, iter_text(conn, body))
    least = min(skip, body.row_count)
    return RunInputs(
        run_id=run_id,
        body=body.fingerprint,
        send_as=body.send_as,
        input_count=body.row_count,
        byte_count=body.byte_count,
        skipped=least,
        inputs=list(islice(every, least, least + limit)),
    )
