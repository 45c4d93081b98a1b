"""What is asked for and the parameters that say it: all of it, and nothing else."""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import InvalidInput
from scheduler.domain.request import (
    Behaviour,
    TriggerOptions,
    choose_behaviour,
    query_string,
    read_object,
    trigger_params,
)

HOOK = {"type": "webhook", "endpoint": "https://x.org/ü"}


def make_options(**overrides: Any) -> TriggerOptions:
    return TriggerOptions(**{"collector_id": "c_shop", **overrides})


@pytest.mark.parametrize(
    ("asked", "params"),
    [
        pytest.param({}, {"queue_next": "1"}, id="nothing"),
        pytest.param(
            {"behaviour": Behaviour.QUEUE, "queue": "night ly&co"},
            {"queue": "night ly&co"},
            id="a queue",
        ),
        pytest.param(
            {"behaviour": Behaviour.CONFIRM_CANCEL}, {"confirm_cancel": "1"}, id="cancelling"
        ),
        pytest.param({"version": "dev"}, {"version": "dev", "queue_next": "1"}, id="version"),
        pytest.param({"name": "Ünï – 1"}, {"name": "Ünï – 1", "queue_next": "1"}, id="name"),
        pytest.param(
            {"no_downloads": True}, {"queue_next": "1", "no_downloads": "1"}, id="no downloads"
        ),
        pytest.param({"no_downloads": False}, {"queue_next": "1"}, id="downloads"),
        pytest.param(
            {"deadline": "1h30m"}, {"queue_next": "1", "deadline": "90m"}, id="deadline in one unit"
        ),
        pytest.param(
            {"deadline": "2d"}, {"queue_next": "1", "deadline": "48h"}, id="deadline in days"
        ),
        pytest.param(
            {"notify": HOOK},
            {"queue_next": "1", "notify": '{"type":"webhook","endpoint":"https://x.org/ü"}'},
            id="notify",
        ),
        pytest.param(
            {"deliver": {"type": "s3", "secret": "${secret:s3}", "n": [1, True, None]}},
            {
                "queue_next": "1",
                "deliver": '{"type":"s3","secret":"${secret:s3}","n":[1,true,null]}',
            },
            id="deliver",
        ),
        pytest.param({"notify": {}}, {"queue_next": "1", "notify": "{}"}, id="an empty object"),
    ],
)
def test_only_what_is_asked_for_is_sent(asked: dict[str, Any], params: dict[str, str]) -> None:
    sent = trigger_params(make_options(**asked))

    assert sent == (("collector", "c_shop"), *params.items())


def test_everything_at_once_is_sent_in_one_order() -> None:
    options = make_options(
        behaviour=Behaviour.QUEUE,
        queue="q",
        version="dev",
        name="n",
        no_downloads=True,
        deadline="5s",
        notify={"type": "email"},
        deliver={"type": "email"},
    )

    assert trigger_params(options) == (
        ("collector", "c_shop"),
        ("version", "dev"),
        ("name", "n"),
        ("queue", "q"),
        ("no_downloads", "1"),
        ("deadline", "5s"),
        ("notify", '{"type":"email"}'),
        ("deliver", '{"type":"email"}'),
    )


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"collector_id": ""}, "'' is not a collector's id: it starts with c_ and has no spaces"),
        ({"collector_id": "shop"}, "'shop' is not a collector's id"),
        ({"collector_id": "c_"}, "'c_' is not a collector's id"),
        ({"collector_id": "c_a b"}, "'c_a b' is not a collector's id"),
        ({"collector_id": "c_a\n"}, "'c_a\\n' is not a collector's id"),
        ({"collector_id": "c_\ud800"}, "is not a collector's id"),
        ({"version": "live"}, "version 'live' is unknown: write dev, or leave it out"),
        ({"version": ""}, "version '' is unknown"),
        ({"name": ""}, "name '' must be one line of text, and not empty"),
        ({"name": " "}, "name ' ' must be one line of text"),
        ({"name": "a\nb"}, "name 'a\\nb' must be one line of text"),
        ({"name": "a\x00"}, "must be one line of text"),
        ({"name": "a\x85b"}, "must be one line of text"),
        ({"name": "a\ud800"}, "must be one line of text"),
        ({"deadline": "soon"}, "'soon' is not a duration"),
        ({"deadline": ""}, "'' is not a duration"),
        ({"behaviour": Behaviour.QUEUE}, "queue None does not go with the behaviour queue"),
        ({"queue": "q"}, "queue 'q' does not go with the behaviour queue_next"),
        (
            {"queue": "q", "behaviour": Behaviour.CONFIRM_CANCEL},
            "queue 'q' does not go with the behaviour confirm_cancel",
        ),
        ({"queue": "", "behaviour": Behaviour.QUEUE}, "queue '' must be one line of text"),
        ({"queue": "a\rb", "behaviour": Behaviour.QUEUE}, "must be one line of text"),
        ({"notify": {"n": float("nan")}}, "notify cannot be written as JSON"),
        ({"deliver": {"n": float("inf")}}, "deliver cannot be written as JSON"),
        ({"deliver": {"n": object()}}, "deliver cannot be written as JSON"),
        ({"deliver": {"n": "\ud800"}}, "deliver cannot be written as JSON"),
        ({"deliver": nested(100_000)}, "deliver cannot be written as JSON"),
        ({"deliver": {"password": "hunter2"}}, "deliver.password holds a credential"),
    ],
)
def test_what_the_upstream_does_not_know_is_refused(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        trigger_params(make_options(**asked))

    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "behaviour"),
    [
        ({"queue": None}, Behaviour.QUEUE_NEXT),
        ({"queue": None, "queue_next": True}, Behaviour.QUEUE_NEXT),
        ({"queue": "q"}, Behaviour.QUEUE),
        ({"queue": ""}, Behaviour.QUEUE),
        ({"queue": None, "confirm_cancel": True}, Behaviour.CONFIRM_CANCEL),
    ],
)
def test_one_behaviour_is_chosen(asked: dict[str, Any], behaviour: Behaviour) -> None:
    assert choose_behaviour(**asked) is behaviour


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"queue": "q", "queue_next": True}, "queue and queue_next"),
        ({"queue": "q", "confirm_cancel": True}, "queue and confirm_cancel"),
        (
            {"queue": None, "queue_next": True, "confirm_cancel": True},
            "queue_next and confirm_cancel",
        ),
        (
            {"queue": "q", "queue_next": True, "confirm_cancel": True},
            "queue and queue_next and confirm_cancel",
        ),
    ],
)
def test_two_behaviours_exclude_each_other(asked: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{names} exclude each other: keep one of them$"):
        choose_behaviour(**asked)


def test_a_stored_object_is_read() -> None:
    assert read_object('{"type": "email"}', what="notify") == {"type": "email"}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "null", "1", "{} {}", '{"a":' * 100_000, f'{{"a":{"1" * 5000}}}']
)
def test_what_is_no_stored_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^notify must be a JSON object, such as"):
        read_object(text, what="notify")


line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)
# Without what a credential or a reference might look like.
message = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="$=:@?"))


@given(name=line, queue=line, text=message)
def test_the_query_says_exactly_what_was_asked(name: str, queue: str, text: str) -> None:
    notify = {"message": f"m {text}"}
    params = trigger_params(
        make_options(name=name, queue=queue, behaviour=Behaviour.QUEUE, notify=notify)
    )

    query = query_string(params)

    assert re.fullmatch(r"[A-Za-z0-9_.~%=&-]+", query)
    assert tuple(parse_qsl(query, strict_parsing=True)) == params
    assert dict(params)["name"] == name
    assert dict(params)["queue"] == queue
    assert json.loads(dict(params)["notify"]) == notify
