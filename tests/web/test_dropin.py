"""The upstream's endpoint of ours: what is taken, what is refused and how, and what a key does."""

import asyncio
import json
import socket
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from sqlalchemy import text

from scheduler.actions.api_tokens import revoke_token
from scheduler.clock import utc_now
from scheduler.domain.access import Scope
from scheduler.web.dropin.waiting import Waiters
from tests.web.rig import Served, raw, serving

URLS = [{"url": "https://example.org/1"}, {"url": "https://example.org/ü"}]
NOW = {"Prefer": "wait=0"}
PATH = "/dca/trigger?collector=c_products"


def rows(served: Served, query: str) -> list[tuple[Any, ...]]:
    with served.db.reading() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def change(served: Served, statement: str, **values: object) -> None:
    with served.db.writing() as conn:
        conn.execute(text(statement), values)


def send(served: Served, path: str = PATH, **options: Any) -> httpx.Response:
    headers = {**NOW, **options.pop("headers", {})}
    if not options.keys() & {"json", "content", "files", "data"}:
        options["json"] = URLS
    return served.post(path, Scope.TRIGGER, headers=headers, **options)


# --- what is taken


def test_a_trigger_is_a_run_before_it_is_answered(served: Served) -> None:
    answer = send(served)

    run_id = answer.json()["run_id"]
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/dca/trigger/{run_id}"
    assert answer.headers["Preference-Applied"] == "wait=0"
    assert int(answer.headers["Retry-After"]) > 0
    assert rows(served, "SELECT id, state, collector, collector_id, query FROM runs") == [
        (run_id, "queued", "products", "c_products", "collector=c_products&queue_next=1")
    ]
    assert rows(served, "SELECT by, action FROM changes WHERE action = 'trigger'") == [
        ("http:a-trigger@127.0.0.1", "trigger")
    ]
    assert served.wakes


def test_every_parameter_of_the_contract_is_sent_on(served: Served) -> None:
    asked = {
        "collector": "products",
        "version": "dev",
        "name": "a {name} & more",
        "queue": "news",
        "queue_next": "1",
        "no_downloads": "1",
        "deadline": "1h",
        "notify": '{"type":"email"}',
        "deliver": '{"type":"webhook","endpoint":"https://hooks.example.org/x"}',
    }
    answer = send(served, "/dca/trigger", params=asked)

    ((query,),) = rows(served, "SELECT query FROM runs")
    assert answer.status_code == 202, answer.text
    sent = dict(parse_qsl(query))
    del asked["queue_next"]
    assert sent == asked | {"collector": "c_products"}


@pytest.mark.parametrize("flag", ["0", "false"])
def test_a_flag_that_is_off_is_not_sent(served: Served, flag: str) -> None:
    send(served, f"{PATH}&confirm_cancel={flag}&no_downloads={flag}&queue_next={flag}")

    assert rows(served, "SELECT query FROM runs") == [("collector=c_products&queue_next=1",)]


BODIES = {
    "json": ({"json": URLS}, "json"),
    "json with a mark and a charset": (
        {
            "content": b"\xef\xbb\xbf" + json.dumps(URLS).encode(),
            "headers": {"Content-Type": "application/json; charset=UTF-8"},
        },
        "json",
    ),
    "csv": (
        {
            "content": "url\nhttps://example.org/1\nhttps://example.org/ü\n".encode(),
            "headers": {"Content-Type": "text/csv"},
        },
        "csv",
    ),
    "multipart": (
        {
            "files": {
                "data": (
                    "inputs.csv",
                    "url\r\nhttps://example.org/1\r\nhttps://example.org/ü\r\n".encode(),
                    "text/csv",
                )
            }
        },
        "multipart",
    ),
}


@pytest.mark.parametrize(("options", "kind"), BODIES.values(), ids=list(BODIES))
def test_each_kind_of_body_is_sent_as_it_came(
    served: Served, options: dict[str, Any], kind: str
) -> None:
    answer = send(served, **options)

    assert answer.status_code == 202, answer.text
    ((send_as, count, stored),) = rows(served, "SELECT send_as, row_count, text FROM bodies")
    assert (send_as, count) == (kind, 2)
    assert "https://example.org/ü" in stored


def test_more_inputs_than_the_collector_takes_at_once_are_several_runs_in_order(
    served: Served,
) -> None:
    change(served, "UPDATE collectors SET max_inputs_per_trigger = 2 WHERE name = 'products'")
    five = [{"url": f"https://example.org/{number}"} for number in range(5)]
    first = send(served, json=five, headers={"Idempotency-Key": "k"})
    again = send(served, json=five, headers={"Idempotency-Key": "k"})

    made = rows(
        served, "SELECT chunk, chunks, row_count FROM runs JOIN bodies ON body = fingerprint"
    )
    orders = rows(served, "SELECT DISTINCT order_key FROM runs WHERE order_key IS NOT NULL")
    assert sorted(made) == [(1, 3, 2), (2, 3, 2), (3, 3, 1)]
    assert len(orders) == 1
    assert again.json() == first.json()

    change(
        served,
        "UPDATE runs SET collection_id = 'j_' || chunk, state = 'collecting', reason = 'accepted',"
        " triggered_at = due_at",
    )
    accepted = served.get(f"/dca/trigger/{first.json()['run_id']}", Scope.TRIGGER)
    assert accepted.status_code == 200
    assert accepted.json()["collection_id"] == "j_1"
    ids = [one["collection_id"] for one in accepted.json()["collections"]]
    assert ids == ["j_1", "j_2", "j_3"]


def test_a_large_upload_is_kept_in_parts(served: Served) -> None:
    many = [{"url": f"https://example.org/{number}", "html": "x" * 1000} for number in range(3000)]

    answer = send(served, json=many)

    assert answer.status_code == 202, answer.text
    assert rows(served, "SELECT row_count, text FROM bodies") == [(3000, "")]
    assert rows(served, "SELECT count(*) FROM body_parts")[0][0] >= 3


# --- which collector


def test_a_collector_that_is_not_configured_is_taken_where_the_account_accepts_it(
    served: Served,
) -> None:
    path = "/dca/trigger?collector=c_other"
    refused = served.post(path, Scope.ADMIN, json=URLS, headers=NOW)
    change(served, "UPDATE accounts SET accept_unknown_collectors = TRUE")
    taken = served.post(path, Scope.ADMIN, json=URLS, headers=NOW)
    not_named = send(served, path)

    assert refused.status_code == 404
    assert "accept_unknown_collectors" in refused.json()["error"]
    assert taken.status_code == 202
    assert not_named.status_code == 403
    assert rows(served, "SELECT collector, collector_id, account FROM runs") == [
        ("c_other", "c_other", "main")
    ]


@pytest.mark.parametrize("collector", ["news", "c_news", "nothing", "c_nothing"])
def test_another_collector_than_the_tokens_is_refused_whether_there_is_one_or_not(
    served: Served, collector: str
) -> None:
    answer = send(served, f"/dca/trigger?collector={collector}")

    assert answer.status_code == 403
    assert answer.json() == {"error": f"this token may trigger no collector {collector!r}"}


# --- what is refused


PARAMETERS = {
    "no collector": ("/dca/trigger", "Missing collector parameter"),
    "twice": (PATH + "&name=a&name=b", "name is there 2 times"),
    "no text": (PATH + "&queue=caf%e9", "queue is not text in UTF-8"),
    "unknown": (PATH + "&nmae=a", "'nmae' is not known"),
    "two behaviours": (PATH + "&queue=a&confirm_cancel=1", "exclude each other"),
    "two others": (PATH + "&queue_next=1&confirm_cancel=1", "exclude each other"),
    "no flag": (PATH + "&no_downloads=yes", "neither 1 nor 0"),
    "no duration": (PATH + "&deadline=soon", "soon"),
    "no version": (PATH + "&version=v2", "write dev"),
    "no JSON": (PATH + "&notify=mail", "must be a JSON object"),
    "a credential": (
        PATH + '&deliver={"type":"s3","credentials":{"aws-secret-key":"abc"}}',
        "in [collectors.NAME] of the configuration",
    ),
    "a reference": (
        PATH + '&deliver={"type":"webhook","endpoint":"https://x.org/${secret:hook}"}',
        "in [collectors.NAME] of the configuration",
    ),
    "an empty name": (PATH + "&name=%20", "must be one line of text"),
}


@pytest.mark.parametrize(("path", "words"), PARAMETERS.values(), ids=list(PARAMETERS))
def test_a_wrong_parameter_is_named_before_a_body_is_read(
    server_on_sqlite: Served, path: str, words: str
) -> None:
    answer = send(server_on_sqlite, path)

    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error"]
    assert words in answer.json()["error"]
    assert rows(server_on_sqlite, "SELECT count(*) FROM runs") == [(0,)]


def typed(content: bytes, kind: str = "application/json") -> dict[str, Any]:
    return {"content": content, "headers": {"Content-Type": kind}}


FORM = "multipart/form-data; boundary=x"
WRONG = {
    "a form as JSON": (
        typed(b"url=https%3A%2F%2Fexample.org"),
        400,
        "json=[{…}] in place of data=",
    ),
    "a form": ({"data": {"url": "x"}}, 415, "send application/json"),
    "nothing said": ({"content": b"[]"}, 415, "a body without Content-Type is not taken"),
    "another charset": (typed(b"url\nx", "text/csv; charset=latin-1"), 415, "UTF-8"),
    "empty": (typed(b""), 422, "holds no inputs"),
    "no inputs": (typed(b"[]"), 422, "holds no inputs"),
    "only a header": (typed(b"url\n", "text/csv"), 422, "holds no inputs"),
    "broken JSON": (typed(b'[{"url": "x"},\n{"url": }]'), 422, "the body:2:9"),
    "half of it": (typed(b'[{"url": "x"},'), 422, "the body:1:"),
    "an envelope": (typed(b'{"inputs": [{"url": "x"}]}'), 422, "not an array of inputs"),
    "texts": (typed(b'["https://example.org"]'), 422, "not an object"),
    "a key twice": (typed(b'[{"url": "a", "url": "b"}]'), 422, "twice"),
    "nested deeply": (typed(b'[{"a":' + b"[" * 900 + b"]" * 900 + b"}]"), 422, "nested too deeply"),
    "no text": (typed(b"url\n\xff\xfe\n", "text/csv"), 422, "not text in UTF-8"),
    "JSON as CSV": (typed(b'[{"url": "x"}]', "text/csv"), 422, "is JSON"),
    "JSON in a form": (
        typed(
            b'--x\r\nContent-Disposition: form-data; name="data"; filename="a.json"\r\n\r\n'
            b'[{"url": "x"}]\r\n--x--\r\n',
            FORM,
        ),
        422,
        "a request sends it as its body, in no form, with Content-Type: application/json",
    ),
    "an open quote": (typed(b'url\n"x\n', "text/csv"), 422, "quote"),
    "no boundary": (typed(b"--x--", "multipart/form-data"), 400, "names no boundary"),
    "a form that breaks off": (
        typed(b'--x\r\nContent-Disposition: form-data; name="data"\r\n\r\nurl\r\nx', FORM),
        400,
        "ends in the middle",
    ),
    "another field": (
        typed(b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nurl\r\n--x--', FORM),
        400,
        "has a field 'file'",
    ),
    "no form at all": (typed(b"url\nx\n", FORM), 400, "does not follow its boundary"),
    "a form of nothing": (typed(b"--x--\r\n", FORM), 400, "no field 'data'"),
    "compressed": (
        {"content": b"x", "headers": {"Content-Encoding": "gzip"}},
        415,
        "send it as it is",
    ),
}


@pytest.mark.parametrize(("options", "status", "words"), WRONG.values(), ids=list(WRONG))
def test_a_body_that_cannot_be_sent_is_told_why_and_leaves_nothing(
    server_on_sqlite: Served, options: dict[str, Any], status: int, words: str
) -> None:
    answer = send(server_on_sqlite, **options)

    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]
    for table in ("runs", "bodies", "body_parts"):
        assert rows(server_on_sqlite, f"SELECT count(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize("at_once", [None, 1500], ids=["in one body", "in the second of two"])
def test_a_fault_behind_the_first_parts_leaves_none_of_them(
    served: Served, at_once: int | None
) -> None:
    change(served, "UPDATE collectors SET max_inputs_per_trigger = :most", most=at_once)
    table = "html\n" + ("x" * 1000 + "\n") * 2900 + "one,too many\n"

    answer = send(served, **typed(table.encode(), "text/csv"))

    assert answer.status_code == 422
    assert "the body:2902" in answer.json()["error"]
    assert rows(served, "SELECT count(*) FROM body_parts") == [(0,)]


def test_an_upload_that_breaks_off_leaves_nothing(served: Served) -> None:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {served.tokens[Scope.TRIGGER]}\r\nContent-Length: 9000000\r\n\r\n"
    )
    host, port = served.url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as wire:
        wire.sendall(head.encode() + json.dumps([{"html": "x" * 1000}] * 3000)[:-1].encode())
    # It is answered only once the one before is over: the bodies' thread has let go.
    assert send(served).status_code == 202

    assert rows(served, "SELECT count(*) FROM runs") == [(1,)]


@pytest.mark.parametrize("rows_sent", [2, 3_000], ids=["small", "large"])
def test_a_token_that_ends_while_its_body_is_sent_makes_nothing(
    served: Served, rows_sent: int
) -> None:
    body = json.dumps([{"html": "x" * 1000}] * rows_sent).encode()
    answer = revoked_while_sent(served, PATH, Scope.TRIGGER, body)

    assert b" 401 " in answer.split(b"\r\n")[0]
    assert rows(served, "SELECT count(*) FROM runs") == [(0,)]
    assert rows(served, "SELECT count(*) FROM body_parts") == [(0,)]


def test_a_token_that_ends_while_json_is_sent_makes_nothing(served: Served) -> None:
    body = json.dumps({"collector": "products", "inputs": URLS}).encode()
    answer = revoked_while_sent(served, "/api/v1/runs", Scope.ADMIN, body)

    assert b" 401 " in answer.split(b"\r\n")[0]
    assert rows(served, "SELECT count(*) FROM runs") == [(0,)]


def revoked_while_sent(served: Served, path: str, scope: Scope, body: bytes) -> bytes:
    """Send the head and ten bytes; the rest once the server has let the token in and it ended."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {served.tokens[scope]}\r\nExpect: 100-continue\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    host, port = served.url.removeprefix("http://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as wire:
        wire.sendall(head.encode())
        assert wire.recv(65536).startswith(b"HTTP/1.1 100 ")  # it waits for the body
        wire.sendall(body[:10])
        with served.db.writing() as conn:
            revoke_token(conn, f"a-{scope}", by="test", now=utc_now())
        # Nothing to wait for: only time tells a body that comes slowly from one that does not.
        threading.Event().wait(0.3)
        wire.sendall(body[10:])
        return b"".join(iter(partial(wire.recv, 65536), b""))


def test_a_body_above_the_limit_is_refused_said_or_not(server_on_sqlite: Served) -> None:
    served = server_on_sqlite
    served.site.settings.__dict__["max_body"] = 1024 * 1024
    many = json.dumps([{"html": "x" * 1000}] * 3000).encode()

    said = send(served, **typed(many))
    chunked = send(served, content=iter([many]), headers={"Content-Type": "application/json"})

    assert (said.status_code, chunked.status_code) == (413, 413)
    assert rows(served, "SELECT count(*) FROM body_parts") == [(0,)]


def test_a_chunk_that_never_ends_is_cut_off(server_on_sqlite: Served) -> None:
    served = server_on_sqlite
    served.site.settings.__dict__["max_body"] = 64 * 1024
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {served.tokens[Scope.TRIGGER]}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n7FFFFFFF\r\n"
    )

    answer = raw(served, head.encode() + b"[" + b" " * 200_000)

    assert b" 413 " in answer.split(b"\r\n")[0]


def test_many_slow_uploads_hold_up_nobody_else(sqlite_url: str) -> None:
    with serving(sqlite_url, header_timeout="300s") as served, ExitStack() as wires:
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {served.tokens[Scope.TRIGGER]}\r\n"
            "Content-Length: 900000\r\n\r\n["
        )
        host, port = served.url.removeprefix("http://").rsplit(":", 1)
        for _ in range(60):
            wire = socket.create_connection((host, int(port)), timeout=60)
            wires.enter_context(wire)
            wire.sendall(head.encode())

        answers = [send(served).status_code for _ in range(3)]

    assert answers == [202, 202, 202]


def test_slow_uploads_of_one_token_leave_room_for_anothers(sqlite_url: str) -> None:
    large = [{"url": "https://example.com/" + "x" * 1000}] * 100
    with serving(sqlite_url, header_timeout="300s") as served, ExitStack() as wires:
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {served.tokens[Scope.TRIGGER]}\r\n"
            "Content-Length: 900000\r\n\r\n["
        )
        host, port = served.url.removeprefix("http://").rsplit(":", 1)
        for _ in range(40):
            wire = socket.create_connection((host, int(port)), timeout=60)
            wires.enter_context(wire)
            wire.sendall(head.encode())

        answer = served.post(PATH, Scope.ADMIN, json=large, headers={"Prefer": "wait=0"})

    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("nonsense", 401), (Scope.READ, 403), (Scope.OPERATE, 403)]
)
def test_who_may_not_trigger_is_told_in_the_vendors_form(
    server_on_sqlite: Served, token: Scope | str | None, status: int
) -> None:
    scope = token if isinstance(token, Scope) else None
    headers = {"Authorization": f"Bearer {token}"} if token == "nonsense" else {}
    answer = server_on_sqlite.post(PATH, scope, json=URLS, headers=headers)

    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


# --- the same again


def test_the_same_key_is_the_same_run_and_stores_nothing_twice(served: Served) -> None:
    many = [{"html": "x" * 1000, "url": str(number)} for number in range(3000)]
    headers = {"Idempotency-Key": '"3f2b"'}

    first = send(served, json=many, headers=headers)
    before = rows(served, "SELECT parts, number FROM body_parts")
    second = send(served, json=many, headers=headers)

    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert rows(served, "SELECT count(*) FROM runs") == [(1,)]
    assert rows(served, "SELECT parts, number FROM body_parts") == before
    assert rows(served, "SELECT count(*) FROM changes WHERE action = 'trigger'") == [(1,)]


OTHERS = {
    "other inputs": (PATH, URLS[:1]),
    "another name": (PATH + "&name=x", URLS),
    "another behaviour": (PATH + "&confirm_cancel=1", URLS),
}


@pytest.mark.parametrize(("path", "inputs"), OTHERS.values(), ids=list(OTHERS))
def test_another_request_under_a_used_key_is_refused(
    served: Served, path: str, inputs: list[dict[str, str]]
) -> None:
    headers = {"Idempotency-Key": "k"}
    send(served, headers=headers)

    answer = send(served, path, json=inputs, headers=headers)

    assert answer.status_code == 422
    assert "was used for another request" in answer.json()["error"]
    assert rows(served, "SELECT count(*) FROM runs") == [(1,)]


def test_the_same_collector_by_its_name_or_its_id_is_the_same_request(served: Served) -> None:
    headers = {"Idempotency-Key": "k"}
    by_id, by_name = (
        send(served, f"/dca/trigger?collector={said}", headers=headers)
        for said in ("c_products", "products")
    )

    assert by_name.json() == by_id.json()


def test_a_key_is_its_tokens_own(served: Served) -> None:
    headers = {"Idempotency-Key": "k", **NOW}
    mine, anothers = (
        served.post(PATH, scope, json=URLS, headers=headers)
        for scope in (Scope.TRIGGER, Scope.ADMIN)
    )

    assert mine.json()["run_id"] != anothers.json()["run_id"]


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a\tb"])
def test_a_key_that_is_none_is_refused(server_on_sqlite: Served, key: str) -> None:
    answer = send(server_on_sqlite, headers={"Idempotency-Key": key})

    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]


def test_two_keys_of_one_request_are_refused(server_on_sqlite: Served) -> None:
    token = ("Authorization", f"Bearer {server_on_sqlite.tokens[Scope.TRIGGER]}")
    keys = [token, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]

    answer = server_on_sqlite.client.post(server_on_sqlite.url + PATH, headers=keys, json=URLS)

    assert answer.status_code == 400
    assert "Idempotency-Key is there 2 times" in answer.json()["error"]


def test_thirty_at_once_under_one_key_are_one_run(served: Served) -> None:
    start = threading.Barrier(15)

    def one(_: int) -> int:
        start.wait(60)
        run_id: int = send(served, headers={"Idempotency-Key": "k"}).json()["run_id"]
        return run_id

    with ThreadPoolExecutor(15) as threads:
        found = set(threads.map(one, range(30)))

    assert len(found) == 1
    assert rows(served, "SELECT count(*) FROM runs") == [(1,)]


# --- what became of it


ENDS = {
    "skipped": ("skipped", "superseded", 409, "was not sent to its end: skipped"),
    "cancelled": ("cancelled", "cancelled_by_hand", 409, "sends it again"),
    "out of attempts": ("failed", "attempts_exhausted", 502, "runs retry"),
}


@pytest.mark.parametrize(("state", "reason", "status", "words"), ENDS.values(), ids=list(ENDS))
def test_a_run_that_ended_unsent_is_told_with_the_way_out(
    served: Served, state: str, reason: str, status: int, words: str
) -> None:
    run_id = send(served).json()["run_id"]
    change(
        served,
        "UPDATE runs SET state = :state, reason = :reason, ended_at = due_at",
        state=state,
        reason=reason,
    )

    answer = served.get(f"/dca/trigger/{run_id}", Scope.TRIGGER)

    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_an_answer_is_told_as_soon_as_it_is_there(served: Served) -> None:
    def accept() -> None:
        change(
            served,
            "UPDATE runs SET state = 'collecting', reason = 'accepted', collection_id = 'j_1',"
            " start_eta = due_at, triggered_at = due_at",
        )

    asked = threading.Event()

    def asking() -> httpx.Response:
        asked.set()
        return served.get(f"/dca/trigger/{run_id}", Scope.TRIGGER, headers={"Prefer": "wait=60"})

    run_id = send(served).json()["run_id"]
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(asking)
        asked.wait(60)
        accept()
        answer = waiting.result(60)

    assert answer.status_code == 200
    assert answer.json()["collection_id"] == "j_1"
    assert answer.json()["start_eta"].endswith("Z")
    assert len(answer.json()["start_eta"]) == len("2021-11-07T13:26:22.702Z")


def test_who_asks_what_became_of_it_may_wait_longer_than_an_answer_may_take(
    sqlite_url: str,
) -> None:
    with serving(sqlite_url, request_timeout="1s") as served:
        place = send(served, headers={"Prefer": "wait=0"}).headers["Location"]
        answer = served.get(place, headers={"Prefer": "wait=2"})

    assert answer.status_code == 202, answer.text


def test_a_trigger_token_sees_only_what_it_asked_for(served: Served) -> None:
    run_id = served.post(PATH, Scope.ADMIN, json=URLS, headers=NOW).json()["run_id"]

    answers = {
        scope: served.get(f"/dca/trigger/{run_id}", scope).status_code
        for scope in (Scope.TRIGGER, Scope.READ, Scope.ADMIN)
    }

    assert answers == {Scope.TRIGGER: 404, Scope.READ: 202, Scope.ADMIN: 202}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dca/trigger/0", 422),
        ("/dca/trigger/99999999999999999999", 422),
        ("/dca/trigger/4711", 404),
        ("/dca/dataset", 400),
        ("/dca/dataset?id=%00", 404),
        ("/dca/log/%00", 404),
        ("/dca/collector/jobs", 400),
        ("/dca/collector/jobs?collector=nothing", 404),
        ("/dca/collector/jobs?collector=products&x=1", 400),
    ],
)
def test_a_question_about_nothing_is_told_so(served: Served, path: str, status: int) -> None:
    answer = served.get(path, Scope.ADMIN)

    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


def test_a_server_beside_the_daemons_says_that_it_passes_nothing_on(
    server_on_sqlite: Served,
) -> None:
    answer = server_on_sqlite.get("/dca/collector/jobs?collector=products", Scope.READ)

    assert answer.status_code == 503
    assert "`dca-scheduler run` serves" in answer.json()["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_no_job_can_be_asked_is_not_there_in_the_vendors_form(
    server_on_sqlite: Served, method: str
) -> None:
    answer = server_on_sqlite.ask(method, "/dca/jobs/j_1/unknown", Scope.ADMIN)

    assert (answer.status_code, [*answer.json()]) == (404, ["error"])


def test_what_may_be_asked_is_told_by_the_document(server_on_sqlite: Served) -> None:
    paths = server_on_sqlite.get("/openapi.json").json()["paths"]

    said = paths["/dca/trigger"]["post"]
    names = {one["name"] for one in said["parameters"]}
    assert {"collector", "queue", "deliver", "Idempotency-Key", "Prefer"} <= names
    assert set(said["requestBody"]["content"]) == {
        "application/json",
        "text/csv",
        "multipart/form-data",
    }
    assert {"200", "202", "400", "413", "415", "422", "502"} <= set(said["responses"])
    assert "/dca/jobs/{collection_id}/rerun" in paths


async def test_who_waits_when_the_server_ends_is_answered() -> None:
    async def nothing(_: object) -> frozenset[int]:
        return frozenset()

    stopping = asyncio.Event()
    waiting = asyncio.create_task(Waiters(nothing, stopping).wait([1], 300))
    stopping.set()

    await asyncio.wait_for(waiting, 60)


async def test_many_who_wait_are_one_question() -> None:
    questions: list[set[int]] = []

    async def settled(run_ids: Collection[int]) -> frozenset[int]:
        questions.append(set(run_ids))
        return frozenset(run_ids if len(questions) > 1 else [])

    waiters = Waiters(settled, asyncio.Event())
    await asyncio.gather(*(waiters.wait([number], 300) for number in range(50)))

    assert questions == [set(range(50))] * 2
