"""
All rows of a query in one step, where a step for each is dear.

sqlite3 lets go of the interpreter's lock at each row, and takes its turn again behind whoever
computes meanwhile: a thousand rows are as many turns.
"""

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Dialect,
    LargeBinary,
    Select,
    TextualSelect,
    cast,
    func,
    select,
)

Query = Select[Any] | CompoundSelect[Any] | TextualSelect
_Convert = Callable[[Any], Any]


def gather(
    conn: Connection, query: Query, parameters: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """
    Return the rows of *query* in its order, each with its values in the order of the columns.

    On SQLite they come as one JSON array. *query* is one that is built once.
    """
    if conn.dialect.name == "postgresql":
        return conn.execute(query, parameters).all()
    gathering, converters = _gathering(query, conn.dialect)
    # As bytes: what is no UTF-8 is shown as in any other text of a row, and the array stays JSON.
    packed: bytes = conn.execute(gathering, parameters).scalar_one()
    rows: list[list[Any]] = json.loads(packed.decode("utf-8", _NOT_UTF8))
    for row in rows:
        for index, convert in converters:
            row[index] = convert(row[index])
    return rows


@lru_cache(maxsize=64)
def _gathering(
    query: Query, dialect: Dialect
) -> tuple[Select[Any], Sequence[tuple[int, _Convert]]]:
    """Return what gathers the rows of *query*, and what its values are converted by, by column."""
    columns = query.subquery().columns
    rows = func.json_group_array(func.json_array(*columns))
    found = [column.type.dialect_impl(dialect) for column in columns]
    converters = [kind.result_processor(dialect, None) for kind in found]
    return select(cast(rows, LargeBinary)), [
        (index, convert) for index, convert in enumerate(converters) if convert is not None
    ]


def _with_escapes(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""Write a byte that is no UTF-8 as `text_factory` does, `\xff`, the way JSON writes that."""
    text, end = codecs.backslashreplace_errors(error)
    return str(text).replace("\\", "\\\\"), end


_NOT_UTF8: Final = "backslashreplace in JSON"
codecs.register_error(_NOT_UTF8, _with_escapes)
