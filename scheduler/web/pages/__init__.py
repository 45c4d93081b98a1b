"""
The pages: what the API tells, for people in a browser; without a script, too.

    page.py        Pages, Shown: a page, its `.json`      rendering.py  templates, what they know
    forms.py       Sent: a form, judged, carried out      assets.py     the style sheet, the script
    times.py       moments in words, and the zone         sign_in.py    a token becomes a session
    subjects.py    the page of what is spoken of
    navigation.py  the head of every page                 problem_page.py  errors, for a browser
    templates/, static/, pictures/ (looks.py: a word and a mark for each state)

To add a page: a module here with a `router`, named in `_MODULES` below; its template; where it is
to be in the head of every page, its line in `navigation.py`.

    router = Pages()

    @router.show("/queues")
    async def queues(caller: Reader, request: Request) -> Shown:
        found = await caller.ask(list_queues)
        return Shown(
            template="queues.html",
            title="Queues",
            data=found,                                  # what /queues.json answers with
            terminal="dca-scheduler queues list",        # the same in the terminal
            http="/api/v1/queues",                       # and over HTTP
            values={"queues": found},                    # what the template is given beside `data`
        )

A page's function takes `caller` and `request`, then what FastAPI reads from path and query. What an
empty field of a filter sends is "": read it as nothing. Everything chosen stands in the URL. What
it returns is shown to all who ask for the same at that time, in one zone and with one scope: it
looks at nothing else of whoever asks. The template may (`user`, `csrf`).

The template begins so, and may use what `rendering.py` gives every template (`page`, `user`,
`times`, `csrf`, `url_with`):

    {% extends "base.html" %}
    {% import "macros.html" as m with context %}
    {% block content %}{{ m.state(run.state) }} {{ m.ago(run.due_at) }}{% endblock %}

No `style=` or `on…=` anywhere, no inline script: the Content-Security-Policy refuses them. A
picture is a `Markup` made by a function in `pictures/`; colours are classes (`s-failed`).

Live: where something happens, the script asks for the page again and puts in place what changed.
What may change has an id and `data-live`. A list of which rows may come or go has `data-rows` (its
children have `data-key`): its rows change in place, and new ones wait behind "3 new".

A form that changes something is `m.act(...)` in a template and, in the module, a POST route with
the scope that it takes and `form: Form`:

    @router.post("/queues/{name}/pause")
    async def pause(caller: Operator, form: Form, name: Name) -> Response:
        how = {"reason": form.text("reason"), "until": form.moment("until")}
        return await form.act(caller, pause_queue, name, then="/queues", done="paused", **how)

Buttons are shown to whom `user.may(...)`; refused they are by the route.
"""

from importlib import import_module
from typing import Final

from scheduler.web.routing import Router

_MODULES: Final = (
    "assets",
    "sign_in",
    "overview",
    "alerts",
    "upcoming",
    "runs",
    "run",
    "schedules",
    "schedule",
    "definition_edit",
    "queues",
    "batches",
    "failures",
    "results",
    "costs",
    "changes",
    "configuration",
    "system",
)
"""Modules here that have a `router`; a new page is named here."""

router = Router(include_in_schema=False)
for _module in _MODULES:
    router.include_router(import_module(f"{__name__}.{_module}").router)
