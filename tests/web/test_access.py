"""Who may ask what: every route, every scope."""

import sys
from datetime import timedelta
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from starlette.responses import Response

from scheduler.actions.api_tokens import create_token, revoke_token
from scheduler.actions.pauses import pause_schedule
from scheduler.actions.trigger import Request, request_trigger
from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.storage import held_daemons, restores
from scheduler.storage.held_daemons import HeldDaemon
from scheduler.views.api_tokens import list_tokens
from scheduler.views.changes import list_changes
from scheduler.web.access import Access, Operator
from scheduler.web.app import SURFACES, create_app
from scheduler.web.models import reply
from scheduler.web.routing import Router, list_routes
from tests.web.rig import MINE, Served, serving


def test_a_view_is_answered_as_json_has_it(served: Served) -> None:
    answer = served.get("/api/v1/status")

    assert answer.status_code == 200
    assert answer.json()["enabled_schedule_count"] == 1


def test_every_route_lets_in_whom_it_says_and_nobody_else(served: Served) -> None:
    for method, path, access in list_routes(create_app(served.site)):
        filled = path.replace("{", "").replace("}", "")
        for scope in (None, *Scope):
            status, text = _status(served, method, filled, scope)

            is_let_in = status != 401 and (status != 403 or "wrong-origin" in text)
            assert is_let_in == _may(access, scope), (method, path, scope, text)
            if scope is None and access.needed:
                assert status == 401


def _status(served: Served, method: str, path: str, scope: Scope | None) -> tuple[int, str]:
    """Return how a request is answered, and the words of a refusal: a stream has no end."""
    headers = {"Content-Length": "0"}
    if scope is not None:
        headers["Authorization"] = f"Bearer {served.tokens[scope]}"
    with served.client.stream(method, served.url + path, headers=headers) as answer:
        return answer.status_code, answer.read().decode() if answer.is_error else ""


def _may(access: Access, scope: Scope | None) -> bool:
    holders = {
        Scope.READ: {Scope.READ, Scope.OPERATE, Scope.ADMIN},
        Scope.TRIGGER: {Scope.TRIGGER, Scope.ADMIN},
        Scope.OPERATE: {Scope.OPERATE, Scope.ADMIN},
        Scope.ADMIN: {Scope.ADMIN},
    }
    return not access.needed or any(scope in holders[needed] for needed in access.needed)


def test_a_route_that_does_not_say_who_may_is_refused() -> None:
    router = Router()

    with pytest.raises(TypeError, match="must say who may"):

        @router.get("/open")
        async def open_to_all() -> None: ...


@pytest.mark.parametrize(
    "header",
    [
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "Bearer nonsense",
        "Bearer dcas_" + "x" * 49,
    ],
)
def test_what_is_no_token_lets_nobody_in(server_on_sqlite: Served, header: str) -> None:
    answer = server_on_sqlite.get("/api/v1/status", None, headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_token_lets_nobody_in(served: Served) -> None:
    assert served.get("/api/v1/status").status_code == 200
    with served.db.writing() as conn:
        revoke_token(conn, "a-read", by="test", now=utc_now())

    # It is remembered for a second.
    answers = (served.get("/api/v1/status") for _ in iter(int, 1))
    assert next(answer for answer in answers if answer.status_code != 200).status_code == 401


def test_a_token_that_has_ended_lets_nobody_in(served: Served) -> None:
    now = utc_now()
    with served.db.writing() as conn:
        how: dict[str, Any] = {
            "by": "test",
            "now": now - timedelta(days=2),
            "expires_at": now - timedelta(days=1),
        }
        ended = create_token(conn, "ended", scope=Scope.ADMIN, **how).token

    answer = served.get("/api/v1/status", None, headers={"Authorization": f"Bearer {ended}"})

    assert (answer.status_code, "ended" in answer.json()["detail"]) == (401, True)


def test_the_use_of_a_token_is_noted(served: Served) -> None:
    served.get("/api/v1/status")

    def last_used() -> object:
        with served.db.reading() as conn:
            return next(t.last_used_at for t in list_tokens(conn) if t.name == "a-read")

    assert next(at for at in iter(last_used, object()) if at is not None)


def test_no_route_is_forgotten_by_the_document(server_on_sqlite: Served) -> None:
    """What it says of each, its scopes as well, is in the copy that another test holds equal."""
    document = server_on_sqlite.get("/openapi.json").json()
    told = {
        (method.upper(), path, *operation["x-scopes"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    there = {
        (method, path, *(scope.value for scope in access.needed))
        for method, path, access in list_routes(create_app(server_on_sqlite.site))
        if path.startswith(("/api/", "/dca/")) and method != "HEAD"
    }

    assert document["openapi"].startswith("3.1")
    assert len(there) > 90
    assert there == {one for one in told if one[1].startswith(("/api/", "/dca/"))}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_probe_needs_no_token_and_tells_nothing(
    server_on_sqlite: Served, method: str, path: str
) -> None:
    answer = server_on_sqlite.ask(method, path, None)

    assert answer.status_code == 200
    assert answer.text == ('{"status":"ok"}' if method == "GET" else "")


def test_a_probe_names_each_check_to_who_may_read(served: Served) -> None:
    told = served.get("/readyz?verbose").json()
    untold = served.get("/readyz?verbose", Scope.TRIGGER).json()

    names = ("database", "schema", "daemon", "configuration")
    assert told["checks"] == dict.fromkeys(names, "ok")
    assert untold == {"status": "ok"}


def test_a_database_of_another_schema_is_not_ready(server_on_sqlite: Served) -> None:
    with server_on_sqlite.db.writing() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_newer'")

    assert server_on_sqlite.get("/readyz", None).status_code == 503
    assert "newer than this" in server_on_sqlite.get("/readyz?verbose").json()["checks"]["schema"]
    assert server_on_sqlite.get("/livez", None).status_code == 200


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(days=-9000)])
def test_a_daemon_that_is_held_by_its_clock_is_seen_by_a_right_one(
    served: Served, ahead: timedelta
) -> None:
    said = utc_now() + ahead
    held = HeldDaemon(id="d", host="lab", pid=1, process=None, why="its clock", seen_at=said)
    with served.db.writing() as conn:
        held_daemons.note_held(conn, held)

    assert served.get("/readyz?verbose").json()["checks"]["daemon"] == "its clock"


def test_a_database_whose_daemon_is_held_is_not_ready(served: Served) -> None:
    why = "its clock is ahead"
    held = HeldDaemon(id="d", host="lab", pid=1, process=None, why=why, seen_at=utc_now())
    with served.db.writing() as conn:
        held_daemons.note_held(conn, held)
    by_its_clock = served.get("/readyz?verbose")
    with served.db.writing() as conn:
        held_daemons.forget_held(conn, "d")
        restores.insert_restore(conn, backup_at=utc_now())
    by_a_restore = served.get("/readyz?verbose")

    assert (by_its_clock.status_code, by_a_restore.status_code) == (503, 503)
    assert by_its_clock.json()["checks"]["daemon"] == why
    assert "db settle-restore" in by_a_restore.json()["checks"]["daemon"]
    assert served.get("/readyz", None).text == '{"status":"not ok"}'


# --- what a change leaves behind

_router = Router()


@_router.post("/stop/{name}")
async def _stop(caller: Operator, name: str) -> Response:
    return reply(await caller.act(pause_schedule, name, reason="a test"))


@_router.post("/trigger-outside")
async def _trigger_outside(caller: Operator) -> Response:
    request = Request(collector=MINE, batch="pages")
    made = await caller.act_outside(request_trigger, request, config=caller.site.config)
    return reply(made.run)


@pytest.fixture
def changing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add routes that change something."""
    monkeypatch.setattr("scheduler.web.app.SURFACES", (*SURFACES, "of_a_test"))
    module = cast(ModuleType, SimpleNamespace(router=_router))
    monkeypatch.setitem(sys.modules, "scheduler.web.of_a_test", module)


def test_a_change_is_signed_with_token_and_address(changing: None, database_url: str) -> None:
    with serving(database_url) as served:
        answers = [
            served.post("/stop/nightly", Scope.OPERATE),
            served.post("/trigger-outside", Scope.OPERATE),
        ]
        with served.db.reading() as conn:
            who = [change.by for change in list_changes(conn, limit=2).items]
            moved = conn.exec_driver_sql("SELECT by FROM run_events").scalars().all()
            events = [str(by) for by in moved]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert who == ["http:a-operate@127.0.0.1"] * 2
    assert events == ["http:a-operate@127.0.0.1"]
    assert len(served.wakes) == 2


def test_what_is_refused_changes_and_wakes_nothing(changing: None, sqlite_url: str) -> None:
    with serving(sqlite_url) as served:
        unknown = served.post("/stop/nightlyy", Scope.OPERATE)
        reader = served.post("/stop/nightly", Scope.READ)

    assert (unknown.status_code, reader.status_code, served.wakes) == (404, 403, [])
    assert "did you mean nightly?" in unknown.json()["detail"]
