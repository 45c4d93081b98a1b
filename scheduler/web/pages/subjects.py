"""Where the page of a subject is, as `changes`, alerts and needs name it: `schedules.nightly`."""

from typing import Final
from urllib.parse import quote

_PLACES: Final = {
    "runs": "/runs",
    "schedules": "/schedules",
    "batches": "/batches",
    "queues": "/queues",
    "accounts": "/queues",
    "freezes": "/queues",
    "daemons": "/system",
    "database": "/system",
    "api_tokens": "/system",
    "collections": "/system",
    "results": "/results",
    "budgets": "/costs",
    "channels": "/notices",
}
_WITH_PAGES_OF_THEIR_OWN: Final = ("runs", "schedules", "batches")
_SINGULAR: Final = {
    "runs": "run",
    "schedules": "schedule",
    "batches": "batch",
    "queues": "queue",
    "accounts": "account",
    "daemons": "daemon",
    "api_tokens": "token",
    "budgets": "budget",
    "channels": "channel",
}


def place_of(subject: str) -> str:
    """Return the page of a subject."""
    table, _, name = subject.partition(".")
    if table == "runs" and not name:
        return "/runs?state=needs_attention"
    if table == "channels" and name:
        return f"/notices?channel={quote(name, safe='')}"
    if name and table in _WITH_PAGES_OF_THEIR_OWN:
        return f"/{table}/{quote(name, safe='')}"
    return _PLACES.get(table, "/changes")


def subject_words(subject: str) -> str:
    """Return a subject for a person: `schedule nightly`."""
    table, _, name = subject.partition(".")
    return f"{_SINGULAR.get(table, table)} {name}" if name else table
