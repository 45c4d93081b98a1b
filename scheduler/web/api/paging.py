"""Lists come in pages: an opaque cursor leads from each to the next, in an order that stays."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scheduler.views.json_document import json_document
from scheduler.views.page import LOOKED_THROUGH, MOST_COUNTED, Counted, Item, Page, by_name, cut
from scheduler.web.access import Caller
from scheduler.web.problems import Refused

MOST: Final = 500
"""So many items a page may have."""

_LARGEST_ID: Final = 2**63 - 1

Limit = Annotated[int, Query(ge=1, le=MOST, description="How many items at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=1000, description="`next` of the page before; opaque. Without: the first."),
]
Count = Annotated[
    bool,
    Query(description=f"Also tell `total_count`: no more than {MOST_COUNTED} are counted."),
]


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list is asked for; *after* is the key of the last item before it."""

    request: Request
    limit: int = 50
    cursor: str | None = None
    count: bool = False

    @property
    def number(self) -> int | None:
        """Return the id that the page comes after; Refused for a cursor of no such list."""
        key = self._key()
        if key is not None and not (type(key) is int and 0 <= key <= _LARGEST_ID):
            raise _bad_cursor()
        return key

    @property
    def name(self) -> str | None:
        """Return the name that the page comes after; Refused for a cursor of no such list."""
        key = self._key()
        if key is not None and not (isinstance(key, str) and "\0" not in key):
            raise _bad_cursor()
        return key

    def reply(self, page: Page[Any], total: int | Counted | None = None) -> Response:
        """Answer with *page*, and lead to the next one."""
        cursor = None if page.next is None else _cursor_of(self._list, page.next)
        document = json_document(replace(page, next=cursor))
        if self.count:
            counted = Counted.of(total) if isinstance(total, int) else total
            document["total_count"] = counted and counted.count
            document["total_is_capped"] = counted is not None and counted.is_capped
        headers = {} if cursor is None else {"Link": f'<{self._next_url(cursor)}>; rel="next"'}
        return JSONResponse(document, headers=headers)

    @property
    def looked_through(self) -> dict[str, int]:
        """Return how much is shown at most, and looked through for it: what a view's list takes."""
        return {"limit": self.limit, "look_through": LOOKED_THROUGH}

    async def counted(
        self, caller: Caller, count: Callable[..., Counted], *wanted: object, **more: object
    ) -> Counted | None:
        """Return how many there are, where that is asked for; no more are looked through for it."""
        if not self.count:
            return None
        return await caller.ask(count, *wanted, **more, look_through=LOOKED_THROUGH)

    def cut(self, items: Sequence[Item], key: Callable[[Item], str] = by_name) -> Response:
        """Answer with a page of a list that was read whole, in the order of its keys."""
        page = cut(items, limit=self.limit, after=self.name, key=key)
        return self.reply(page, len(items))

    @property
    def _list(self) -> str:
        return self.request.url.path

    def _key(self) -> Any:
        if self.cursor is None:
            return None
        try:
            padded = self.cursor + "=" * (-len(self.cursor) % 4)
            of, key = json.loads(urlsafe_b64decode(padded.encode()))
        except (ValueError, TypeError, RecursionError):
            raise _bad_cursor() from None
        if of != self._list:
            raise _bad_cursor()
        return key

    def _next_url(self, cursor: str) -> str:
        following = self.request.url.include_query_params(cursor=cursor)
        return f"{following.path}?{following.query}"


async def paging(
    request: Request, limit: Limit = 50, cursor: Cursor = None, count: Count = False
) -> Paging:
    """Read which page is asked for."""
    return Paging(request, limit, cursor, count)


Pages = Annotated[Paging, Depends(paging)]


def _cursor_of(path: str, key: int | str) -> str:
    return urlsafe_b64encode(json.dumps([path, key]).encode()).decode().rstrip("=")


def _bad_cursor() -> Refused:
    detail = "this cursor is none of this list's: begin without one, then go by `next` or by Link"
    return Refused(422, "bad-cursor", detail)
