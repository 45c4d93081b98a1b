"""How far back a list looks for what hardly any of its rows are."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select


def find_bound(
    conn: Connection, key: ColumnElement[Any], *, most: int, before: int | None
) -> int | None:
    """
    Return from which *key* on a list may be looked through, for *most* rows to be looked at.

    They are those *before* a key, or the newest; None where there are no more than that.
    """
    newest = before or (conn.scalar(select(func.max(key))) or 0) + 1
    oldest = conn.scalar(select(func.min(key))) or 0
    bound = int(newest) - most
    return bound if bound > oldest else None
