"""Every kind of body, read by the sandbox: a reader of the three kinds that shares no code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.records import JsonObject, StoredBody
from scheduler.domain.request import SendAs, body_content, render_body
from scheduler.sandbox.bodies import read_inputs
from tests.make import make_body
from tests.sandbox.rig import SHOP, connected

AWKWARD = [
    {"url": "https://x.org/ü?a=1&b=2", "note": 'say "x", then\ny;z\t', " spaces ": "  kept  "},
    {"url": "😀\u2028\x85\x0b\x1f", "note": "a\rb\r\nc", " spaces ": ""},
    {"url": "", "note": "--", " spaces ": "'$(x)`\\"},
    {"url": "", "note": "", " spaces ": ""},
]


async def received(body: StoredBody) -> list[JsonObject]:
    """Send *body* over HTTP; return the inputs that the sandbox's dataset echoes."""
    content_type, content = body_content(body)
    async with connected() as client:
        reply = await client.call(
            "POST",
            "/dca/trigger",
            params={"collector": SHOP},
            data=content,
            headers={"Content-Type": content_type},
        )
        assert reply.status == 200, reply.text
        client.clock.tick(3600)
        rows = (await client.get("/dca/dataset", id=reply.json["collection_id"])).json
    return [row["input"] for row in rows]


@pytest.mark.parametrize("kind", SendAs)
async def test_awkward_text_arrives_as_it_was(kind: SendAs) -> None:
    assert await received(render_body(AWKWARD, kind)) == AWKWARD


async def test_json_arrives_with_its_types() -> None:
    inputs: list[JsonObject] = [
        {"n": 1, "f": 1.5, "t": True, "z": None, "o": {"k": ["ü", "\0"]}},
        {},
    ]

    assert await received(render_body(inputs, SendAs.JSON)) == inputs


@pytest.mark.parametrize("kind", [SendAs.CSV, SendAs.MULTIPART])
async def test_values_that_are_no_text_arrive_as_text(kind: SendAs) -> None:
    inputs: list[JsonObject] = [{"n": 1, "f": 1.5, "t": True, "z": None}, {"n": 2, "x": False}]

    assert await received(render_body(inputs, kind)) == [
        {"n": "1", "f": "1.5", "t": "true", "z": "", "x": ""},
        {"n": "2", "f": "", "t": "", "z": "", "x": "false"},
    ]


async def test_a_form_arrives_whole_whose_content_holds_the_first_boundary() -> None:
    text = f"url\r\n--{'f' * 64}--\r\nx\r\n"
    body = make_body(send_as="multipart", text=text)

    assert await received(body) == [{"url": f"--{'f' * 64}--"}, {"url": "x"}]


plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    columns=st.lists(plain, min_size=1, max_size=4, unique=True),
    rows=st.lists(st.lists(plain, min_size=4, max_size=4), min_size=1, max_size=5),
)
@pytest.mark.parametrize("kind", SendAs)
def test_whatever_is_rendered_is_read_back_the_same(
    kind: SendAs, columns: list[str], rows: list[list[str]]
) -> None:
    inputs: list[JsonObject] = [dict(zip(columns, row, strict=False)) for row in rows]

    content_type, content = body_content(render_body(inputs, kind))

    assert list(read_inputs(content_type, content)) == inputs
