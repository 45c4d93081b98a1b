"""Clients as they are in the field: only the address and the token are others than the vendor's."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.sandbox.settings import SandboxCollector
from tests.databases import migrated_sqlite
from tests.e2e.rig import QUICK
from tests.web.dropin_house import Door, open_door, peak_of

MIB = 1024**2

CURL = """
curl --silent --show-error --fail-with-body --max-time 240 --request POST "$URL" \
  --header "Authorization: Bearer $TOKEN" --header "Content-Type: application/json" \
  --header "Idempotency-Key: $KEY" --data-binary '[{"url": "https://example.org/1"}]'
"""

CURL_FORM = """
printf 'url\nhttps://example.org/1\n' |
curl --silent --show-error --fail-with-body --max-time 240 "$URL" \
  --header "Authorization: Bearer $TOKEN" --header "Idempotency-Key: $KEY" \
  --form 'data=@-;filename=inputs.csv;type=text/csv'
"""

REQUESTS = """
import os, requests
token, key = os.environ["TOKEN"], os.environ["KEY"]
answer = requests.post(
    os.environ["URL"],
    headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
    json=[{"url": "https://example.org/1"}],
    timeout=240,
)
answer.raise_for_status()
print(answer.text)
"""

URLLIB3 = """
import os, urllib3
answer = urllib3.PoolManager().request(
    "POST",
    os.environ["URL"],
    headers={
        "Authorization": f"Bearer {os.environ['TOKEN']}",
        "Idempotency-Key": os.environ["KEY"],
        "Content-Type": "text/csv",
    },
    body=b"url\\r\\nhttps://example.org/1\\r\\n",
    timeout=240,
)
assert answer.status == 200, answer.data
print(answer.data.decode())
"""

NODE = """
const answer = await fetch(process.env.URL, {
  method: "POST",
  headers: {
    "Authorization": `Bearer ${process.env.TOKEN}`,
    "Content-Type": "application/json",
    "Idempotency-Key": process.env.KEY,
  },
  body: JSON.stringify([{ url: "https://example.org/1" }]),
});
if (!answer.ok) throw new Error(await answer.text());
console.log(await answer.text());
"""

JAVA = """
import java.net.URI;
import java.net.http.*;

public class Trigger {
    public static void main(String[] words) throws Exception {
        var env = System.getenv();
        var request = HttpRequest.newBuilder(URI.create(env.get("URL")))
            .header("Authorization", "Bearer " + env.get("TOKEN"))
            .header("Content-Type", "application/json")
            .header("Idempotency-Key", env.get("KEY"))
            .POST(HttpRequest.BodyPublishers.ofString("[{\\"url\\": \\"https://example.org/1\\"}]"))
            .build();
        var answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) throw new RuntimeException(answer.body());
        System.out.println(answer.body());
    }
}
"""

CLIENTS = {
    "curl": ("sh", "trigger.sh", CURL),
    "curl with a form": ("sh", "trigger.sh", CURL_FORM),
    "requests": (sys.executable, "trigger.py", REQUESTS),
    "urllib3": (sys.executable, "trigger.py", URLLIB3),
    "node": ("node", "trigger.mjs", NODE),
    "java": ("java", "Trigger.java", JAVA),
}
HERE = {
    name: client
    for name, client in CLIENTS.items()
    if shutil.which(client[0]) and shutil.which(name.split()[0] if "curl" in name else client[0])
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    settings = replace(
        QUICK,
        collectors=(
            SandboxCollector(id="c_a"),
            SandboxCollector(id="c_b", real_time=True),
        ),
    )
    url = migrated_sqlite(folder)
    with open_door(folder, url, scope="trigger", settings=settings) as opened:
        yield opened


@pytest.mark.parametrize("name", HERE)
def test_a_client_gets_what_the_vendor_would_have_answered(
    door: Door, tmp_path: Path, name: str
) -> None:
    program, file, text = HERE[name]
    (tmp_path / file).write_text(text)
    before = len(door.jobs("c_a"))
    environ = {
        **os.environ,
        "URL": f"{door.address}/dca/trigger?collector=c_a&name={name.replace(' ', '%20')}",
        "TOKEN": door.token,
        "KEY": f"key of {name}",
    }
    answers = []
    for _ in range(2):
        done = subprocess.run(
            [program, file], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answers.append(json.loads(done.stdout))

    new = door.jobs("c_a")[before:]
    assert answers[0] == answers[1]
    assert set(answers[0]) == {"collection_id", "start_eta"}
    assert [job.id for job in new] == [answers[0]["collection_id"]]
    assert list(new[0].order.inputs) == [{"url": "https://example.org/1"}]


def test_what_the_upstream_refuses_is_told_in_its_own_words(door: Door) -> None:
    answer = door.post("/dca/trigger?collector=c_b", json=[{"url": "https://example.org"}])
    schema = door.post("/dca/trigger?collector=c_a", json=[{"keyword": "shoes"}])

    assert (answer.status_code, schema.status_code) == (400, 422)
    assert answer.json()["error"] == "Cannot trigger a batch job with a real-time scraper."
    assert schema.json()["error"] == "Input 1 lacks the field 'url'"


def test_a_large_upload_is_held_by_nobody(door: Door) -> None:
    page = "x" * 50_000
    count = 2_200

    def body() -> Iterator[bytes]:
        yield b"["
        for number in range(count):
            yield json.dumps({"url": f"https://example.org/{number}", "html": page}).encode()
            yield b"," if number < count - 1 else b"]"

    before = [peak_of(door.server), peak_of(door.daemon.process.pid)]
    answer = door.post(
        "/dca/trigger?collector=c_a",
        content=body(),
        headers={"Content-Type": "application/json", "Prefer": "wait=200"},
    )
    after = [peak_of(door.server), peak_of(door.daemon.process.pid)]

    grown = [now - then for now, then in zip(after, before, strict=True)]
    assert answer.status_code == 200, answer.text
    job = next(job for job in door.jobs("c_a") if job.id == answer.json()["collection_id"])
    assert len(job.order.inputs) == count
    # Of 105 MiB: a window of JSON in the server, a few parts in the daemon.
    assert max(grown) < 64, grown
