"""The socket that is listened on: whose it is, and why it cannot be had."""

import socket
import stat
from pathlib import Path

import httpx
import pytest

from scheduler.config import HttpSettings
from scheduler.domain.errors import AddressTaken
from scheduler.web.sockets import close, listen, url_of
from tests.web.rig import serving


def settings(listen: object) -> HttpSettings:
    return HttpSettings.model_validate({"listen": str(listen)})


def test_a_unix_socket_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    taken = listen(settings(f"unix:{path}"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert url_of(taken) == f"unix:{path}"
    close(taken, url_of(taken))
    assert not path.exists()


def test_a_socket_that_uvicorn_has_closed_loses_its_name_all_the_same(tmp_path: Path) -> None:
    taken = listen(settings(f"unix:{tmp_path}/http.sock"))
    address = url_of(taken)
    taken.close()
    close(taken, address)
    assert not (tmp_path / "http.sock").exists()


def test_a_unix_socket_is_answered_on(tmp_path: Path, sqlite_url: str) -> None:
    path = tmp_path / "http.sock"
    with (
        serving(sqlite_url, listen=f"unix:{path}"),
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=60) as client,
    ):
        assert client.get("http://localhost/livez").json() == {"status": "ok"}


def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    taken = listen(settings(f"unix:{path}"))
    close(taken, url_of(taken))


def test_a_socket_that_somebody_listens_on_is_left_alone(tmp_path: Path) -> None:
    first = listen(settings(f"unix:{tmp_path}/http.sock"))

    with pytest.raises(AddressTaken, match="another program has it"):
        listen(settings(f"unix:{tmp_path}/http.sock"))
    close(first, url_of(first))


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    path.write_text("mine")

    with pytest.raises(AddressTaken, match="a file that is no socket"):
        listen(settings(f"unix:{path}"))
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [("192.0.2.1:8460", "no address of this machine"), ("unix:/nowhere/at/all", "folder exist")],
)
def test_what_cannot_be_had_says_why(place: str, sentence: str) -> None:
    proxied = {"proxies": ["127.0.0.1"], "allowed_hosts": ["x"]}
    with pytest.raises(AddressTaken, match=sentence):
        listen(HttpSettings.model_validate({"listen": place, **proxied}))


def test_a_port_that_is_taken_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(AddressTaken, match=f"{place} cannot be had: another program has it"):
            listen(settings(place))
