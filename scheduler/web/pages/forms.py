"""Forms: read, judged by origin and by their session, carried out, and answered with a page."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from inspect import signature
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, quote

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scheduler.domain.errors import InvalidInput, NeedsConfirmation
from scheduler.web.access import Caller
from scheduler.web.api.making import meant
from scheduler.web.pages.rendering import DONE_COOKIE, Shown, csrf_of, page_response
from scheduler.web.pages.times import known_zone, read_moment, zone_for
from scheduler.web.problems import Refused

CSRF: Final = "csrf"
"""The field by which a form shows that it was opened in its session."""

_CONFIRM: Final = "confirm"
_TYPE: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 2_000
_TOLD_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form of ours has sent, in its own session."""

    request: Request
    fields: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Return every value of a field that is not empty."""
        return [value for key, value in self.fields if key == name and value.strip()]

    def find(self, name: str) -> str | None:
        """Return the last value of a field; None for an empty one."""
        return next(reversed(self.all(name)), None)

    def text(self, name: str) -> str:
        """Return a field that must be filled in; raises InvalidInput."""
        value = self.find(name)
        if value is None:
            raise InvalidInput(f"{name}: must be text, and not empty")
        return value.strip()

    def moment(self, name: str) -> datetime | None:
        """Return a field's time, which was written in the zone that the form says, as UTC."""
        value, zone = self.find(name), self.find("zone")
        if value is None:
            return None
        return read_moment(value, zone_for(self.request) if zone is None else known_zone(zone))

    @property
    def confirm(self) -> int | None:
        """Return the count that the page before asked a word for."""
        value = self.find(_CONFIRM)
        return int(value) if value is not None and value.isdecimal() else None

    async def act(
        self,
        caller: Caller,
        action: Callable[..., Any],
        *words: Any,
        then: str,
        done: str,
        **named: Any,
    ) -> Response:
        """
        Carry *action* out, tell what was *done*, and lead on to the page *then*.

        One that needs a word is asked back with its count, and what the form has said.
        """
        asked = (meant, action, self.confirm) if _asks_back(action) else (action,)
        try:
            await caller.act(*asked, *words, **named)
        except NeedsConfirmation as needed:
            return self.ask_back(caller, needed, then)
        return answered(then, done)

    def ask_back(self, caller: Caller, needed: NeedsConfirmation, then: str) -> Response:
        """Return the page that asks whether so much is meant."""
        kept = [(key, value) for key, value in self.fields if key not in (CSRF, _CONFIRM)]
        shown = Shown(
            template="confirm.html",
            title="Is that meant?",
            data=None,
            terminal="",
            http="",
            is_live=False,
            status=409,
            values={"sentence": str(needed), "count": needed.count, "kept": kept, "then": then},
        )
        return page_response(self.request, caller, shown)


def answered(then: str, done: str) -> Response:
    """Lead on to the page *then*, which tells once what was *done*."""
    answer = RedirectResponse(then, 303)
    told = quote(done[:500])
    answer.set_cookie(
        DONE_COOKIE, told, max_age=_TOLD_SECONDS, path="/", httponly=True, samesite="strict"
    )
    return answer


def _asks_back(action: Callable[..., Any]) -> bool:
    return "confirmed" in signature(action).parameters


async def read_fields(request: Request) -> Mapping[str, str]:
    """Return the fields of a form, the last value of each; raises Refused for what is none."""
    return dict(await _read(request))


async def _read(request: Request) -> tuple[tuple[str, str], ...]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != _TYPE:
        raise Refused(415, "not-a-form", f"send it as {_TYPE}, as the page does")
    with suppress(ValueError):
        text = (await request.body()).decode("ascii")
        return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    raise Refused(400, "malformed", "the form cannot be read")


async def read_form(request: Request) -> Sent:
    """Read a form that changes something; Refused where it was not opened in its own session."""
    caller: Caller = request.state.caller
    csrf = csrf_of(request)
    fields = await _read(request) if caller.via == "session" else ()
    given = dict(fields).get(CSRF, "")
    if csrf is None or not compare_digest(given.encode(), csrf.encode()):
        detail = (
            "this form was not opened in this session: open its page again"
            " (programs ask /api/v1 instead)"
        )
        raise Refused(403, "wrong-origin", detail)
    if any("\0" in value for _, value in fields):
        raise InvalidInput("the form holds a NUL, which is no text")
    return Sent(request, fields)


Form = Annotated[Sent, Depends(read_form)]
"""What a POST route of a page takes beside its caller."""
