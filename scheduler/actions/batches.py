"""What a person can do with batches: import a file as one."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from scheduler.domain.errors import Conflict, InputsError, InvalidInput, NeedsConfirmation
from scheduler.domain.records import JsonObject, Origin
from scheduler.domain.request import SendAs
from scheduler.inputs import ANY_FILE, MOST_BODY_BYTES, InputFiles, Warn, iter_inputs, least_length
from scheduler.storage import definition_tables
from scheduler.storage.audit import record_change
from scheduler.storage.database import Connection, Database
from scheduler.storage.dialect import announce


def import_batch(
    db: Database,
    name: str,
    file: Path,
    *,
    send_as: SendAs,
    by: str,
    now: datetime,
    files: InputFiles = ANY_FILE,
    warn: Warn | None = None,
    overwrite: bool = False,
) -> int:
    """
    Make a batch of the inputs that *file* holds now, kept in the database; return how many.

    It belongs to the database: `apply` never touches it. Without *overwrite*,
    NeedsConfirmation for a name that is there: it gets these inputs and keeps its other columns;
    nothing fires because of it.
    """
    if not name.isprintable() or name != name.strip() or not name:
        raise InvalidInput(f"{name!r} is no name: use printable characters, no space around them")
    # Read outside of any transaction: on SQLite all others would wait for it.
    inputs = _take_all(file, files, warn)
    text = json.dumps(inputs, ensure_ascii=False)
    with db.writing() as conn:
        _put_batch(conn, name, text, send_as=send_as, overwrite=overwrite)
        columns = {"inputs": (None, f"{len(inputs)} from {file.name}")}
        record_change(conn, by, "import", f"batches.{name}", columns, now=now)
        announce(conn)
    return len(inputs)


def _put_batch(
    conn: Connection, name: str, inputs: str, *, send_as: SendAs, overwrite: bool
) -> None:
    columns = {"file": None, "inputs": inputs, "send_as": send_as}
    row = definition_tables.list_rows(conn, "batches", hold=True).get(name)
    if row is None:
        definition_tables.create_row(
            conn, "batches", {"name": name, "origin": Origin.DATABASE, **columns}
        )
    elif row["origin"] == Origin.FILE:
        raise Conflict(f"batch {name!r} belongs to the configuration file: edit it there")
    elif not overwrite:
        raise NeedsConfirmation(f"there is a batch {name!r} already: its inputs are replaced", 1)
    else:
        definition_tables.update_row(conn, "batches", name, columns)


def _take_all(file: Path, files: InputFiles, warn: Warn | None) -> list[JsonObject]:
    inputs: list[JsonObject] = []
    length = 0
    for one in iter_inputs(file, files=replace(files, roots=None), warn=warn):
        inputs.append(one.value)
        length += least_length(one.value)
        if length > MOST_BODY_BYTES:
            raise InputsError(
                f"{file}: is too large to be kept in the database: name it as `file` of a batch"
            )
    if not inputs:
        raise InputsError(f"{file}: holds no inputs: write at least one")
    return inputs
