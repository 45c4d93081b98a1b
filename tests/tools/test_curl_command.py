"""The printed command, run by a real shell: what reaches curl, and what reaches the upstream."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.records import JsonObject
from scheduler.domain.request import (
    Params,
    SendAs,
    TriggerRequest,
    body_content,
    query_string,
    render_body,
)
from scheduler.tools.curl_command import curl_command
from tests.sandbox.rig import Client, connected
from tests.upstream.rig import AMPLE, TOKEN, answering, client, http, playing, trigger

BASH = shutil.which("bash") or "bash"
CURL = shutil.which("curl")
# The stand-in's tests prove what a shell hands to curl; these prove what curl makes of it.
needs_curl = pytest.mark.skipif(CURL is None, reason="curl is not installed: see its stand-in")

PLAIN: Params = (("collector", "c_shop"), ("queue_next", "1"))
AWKWARD: Params = (
    ("collector", "c_shop"),
    ("name", "Zoë's {1..3} [a-z] “100 %” & $(x) `y` + ~ !! \\ 😀"),
    ("queue", "a=b&c#d?e/f g"),
    ("notify", '{"type":"webhook","endpoint":"https://x.org/?a=1&b=[2]"}'),
)

INPUTS: list[JsonObject] = [
    {"url": "https://x.org/it's?a=1&b=2", "q": 'say "x", $HOME `id` $(id) \\n %41 !! !x'},
    {"url": "ü 😀 \u00a0\u2028\u200b|", "q": "one\ntwo\r\nthree\tfour\x1b[31m\x07\x7f1"},
    {"url": "@body", "q": "  leading, trailing  "},
    {"url": "'!\n!'", "q": "\\'\n\\\\"},
]
CASES = [
    *(pytest.param(AWKWARD, INPUTS, kind, id=f"awkward {kind}") for kind in SendAs),
    pytest.param(PLAIN, [{"q": "it's !x"}], SendAs.JSON, id="one line with a quote"),
    pytest.param(PLAIN, [{"@x": "=1"}], SendAs.CSV, id="a body that begins with @"),
    pytest.param(PLAIN, [{"ü": ""}], SendAs.CSV, id="no value"),
]


def make_command(
    url: str, params: Params, content: tuple[str, bytes], body_file: str | None = None
) -> str:
    return curl_command(url, params, *content, token_variable="MY_TOKEN", body_file=body_file)


async def in_bash(
    folder: Path, command: str, *words: str, path: str = os.defpath, locale: str = "C.UTF-8"
) -> str:
    """Type *command* into a bash of its own, and return what it printed; it must succeed."""
    shell = await asyncio.create_subprocess_exec(
        *(BASH, "--norc", "--noprofile", *words),
        cwd=folder,
        env={
            "PATH": path,
            "HOME": str(folder),
            "MY_TOKEN": TOKEN,
            "LC_ALL": locale,
            "TERM": "dumb",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(AMPLE.total_seconds()):
        out, err = await shell.communicate(f"{command}\nexit $?\n".encode())
    assert shell.returncode == 0, err.decode()
    return out.decode()


async def handed_to_curl(folder: Path, command: str, *words: str, locale: str) -> list[bytes]:
    """Return the arguments of the curl that a bash starts for *command*, by a stand-in."""
    stand_in = folder / "bin" / "curl"
    stand_in.parent.mkdir()
    stand_in.write_text(
        f"#!{sys.executable}\n"
        "import json, os, sys\n"
        "open('stdin', 'wb').write(sys.stdin.buffer.read())\n"
        "json.dump([os.fsencode(word).hex() for word in sys.argv[1:]], open('argv', 'w'))\n"
    )
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{os.defpath}"
    await in_bash(folder, command, *words, path=path, locale=locale)
    return [bytes.fromhex(word) for word in json.loads((folder / "argv").read_text())]


@pytest.mark.parametrize(("params", "inputs", "kind"), CASES)
@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
@pytest.mark.parametrize("words", [("-s",), ("-i", "-o", "history", "-H")], ids=["script", "typed"])
async def test_a_shell_hands_every_byte_to_curl(
    tmp_path: Path,
    params: Params,
    inputs: list[JsonObject],
    kind: SendAs,
    words: tuple[str, ...],
    locale: str,
) -> None:
    content_type, body = content = body_content(render_body(inputs, kind))
    command = make_command("https://x.org", params, content)

    arguments = await handed_to_curl(tmp_path, command, *words, locale=locale)

    assert (tmp_path / "stdin").read_text() == f"Authorization: Bearer {TOKEN}\n"
    assert arguments == [
        *(b"--globoff", b"--request", b"POST"),
        f"https://x.org/dca/trigger?{query_string(params)}".encode(),
        *(b"--header", b"@-"),
        *(b"--header", f"Content-Type: {content_type}".encode()),
        *(b"--data-raw", body),
    ]


async def test_bytes_that_are_no_text_reach_curl_too(tmp_path: Path) -> None:
    body = bytes(range(1, 256)) + b"7\xff8"
    command = make_command("https://x.org", PLAIN, ("a/b", body))

    arguments = await handed_to_curl(tmp_path, command, "-s", locale="C.UTF-8")

    assert arguments[-1] == body


@needs_curl
@pytest.mark.parametrize("path", ["", "/v1/"], ids=["a host", "a host and a path"])
@pytest.mark.parametrize(("params", "inputs", "kind"), CASES)
async def test_curl_sends_the_bytes_that_the_daemon_sends(
    tmp_path: Path, params: Params, inputs: list[JsonObject], kind: SendAs, path: str
) -> None:
    content = body_content(render_body(inputs, kind))

    async with playing(answering(http())) as server:
        url = server.url + path
        await in_bash(tmp_path, make_command(url, params, content), "-s")
        async with client(url) as dca:
            await trigger(dca, TriggerRequest(params, *content))

    by_curl, by_daemon = map(said_by, server.requests)
    assert by_curl == by_daemon
    assert by_curl["body"] == content[1]


def said_by(request: bytes) -> dict[str, bytes]:
    """Return what of a request tells the upstream what to do."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    headers = {name.lower(): value for name, _, value in (one.partition(b": ") for one in fields)}
    told = ("authorization", "content-type", "content-length")
    return {"line": line, "body": body} | {name: headers[name.encode()] for name in told}


@needs_curl
@pytest.mark.parametrize(("params", "inputs", "kind"), CASES)
async def test_the_sandbox_takes_a_command_for_the_daemon(
    tmp_path: Path, params: Params, inputs: list[JsonObject], kind: SendAs
) -> None:
    content = body_content(render_body(inputs, kind))

    async with connected() as sandbox:
        answer = await in_bash(tmp_path, make_command(sandbox.url, params, content), "-s")
        async with client(sandbox.url) as dca:
            await trigger(dca, TriggerRequest(params, *content))
        by_curl, by_daemon = (noted(sandbox, number) for number in (1, 2))
        echoed = await inputs_of(sandbox, json.loads(answer)["collection_id"])

    assert by_curl == by_daemon
    assert echoed == inputs


def noted(sandbox: Client, number: int) -> dict[str, object]:
    """Return what the sandbox has in its log of a request, whoever sent it and whenever."""
    told = ("method", "path", "query", "content_type", "body_bytes", "body_sha256", "status")
    found = next(one for one in sandbox.sandbox.account.journal if one.number == number)
    return {name: found.as_json()[name] for name in told} | {"inputs": found.inputs}


async def inputs_of(sandbox: Client, collection_id: str) -> list[JsonObject]:
    """Return the inputs that a collection's rows echo, once it has ended."""
    sandbox.clock.tick(86_400)
    rows = (await sandbox.get("/dca/dataset", id=collection_id)).json
    return [row["input"] for row in rows]


@needs_curl
async def test_a_body_too_long_for_a_shell_is_sent_from_its_file(tmp_path: Path) -> None:
    inputs: list[JsonObject] = [{"url": f"https://x.org/{n}\n'"} for n in range(20_000)]
    content = body_content(render_body(inputs, SendAs.CSV))
    (tmp_path / "it's a body").write_bytes(content[1])

    async with connected() as sandbox:
        command = make_command(sandbox.url, PLAIN, content, body_file="it's a body")
        await in_bash(tmp_path, command, "-s")
        told = noted(sandbox, 1)

    assert (told["status"], told["inputs"]) == (200, 20_000)
    assert told["body_bytes"] == len(content[1])


def test_a_reference_to_a_secret_stays_one_where_it_is_one() -> None:
    params: Params = (
        ("collector", "c_shop"),
        ("name", "${secret:a}"),
        ("deliver", '{"secret":"${secret:s3.key-1}"}'),
    )

    command = make_command("https://x.org", params, ("text/csv", b"a"))

    assert "name=%24%7Bsecret%3Aa%7D&" in command
    assert "&deliver=%7B%22secret%22%3A%22${secret:s3.key-1}%22%7D'" in command


def test_the_token_is_no_part_of_the_command() -> None:
    command = make_command("https://x.org/", PLAIN, ("application/json", b'[{"url":"a"}]'))

    assert command.splitlines() == [
        "printf 'Authorization: Bearer %s\\n' \"$MY_TOKEN\" | curl --globoff --request POST"
        " 'https://x.org/dca/trigger?collector=c_shop&queue_next=1' \\",
        "  --header @- \\",
        "  --header 'Content-Type: application/json' \\",
        """  --data-raw '[{"url":"a"}]'""",
    ]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_command_has_nothing_that_a_terminal_would_act_on(text: str) -> None:
    command = make_command("https://x.org", (("name", text),), ("a/b", text.encode()))

    assert all(char.isprintable() for line in command.split("\n") for char in line)
    assert command.count("\n") == 3
