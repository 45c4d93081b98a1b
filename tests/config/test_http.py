"""[http]: what it may say, and the sentence for what it may not."""

from pathlib import Path

import pytest

from scheduler.config import load_config
from scheduler.domain.errors import ConfigError


def load(tmp_path: Path, http: str, *, even_without_http: bool = False) -> object:
    path = tmp_path / "config.toml"
    path.write_text(f"[http]\n{http}\n")
    return load_config(path, {}, even_without_http=even_without_http)


@pytest.mark.parametrize(
    ("http", "sentence"),
    [
        ('listen = "8460"', "http.listen: must be ADDRESS:PORT"),
        ('listen = "example.com:80"', "http.listen: must be ADDRESS:PORT"),
        ('listen = "127.0.0.1:99999"', "http.listen: must be ADDRESS:PORT"),
        ('listen = "unix:"', "http.listen: must name the socket"),
        (f'listen = "unix:/{"x" * 110}"', "longer than 107 bytes"),
        ('listen = "0.0.0.0:8460"', "travel unencrypted"),
        ('proxies = ["10.0.0.0/8"]', "proxies need allowed_hosts"),
        ('proxies = ["10.0.0.1/8"]', "http.proxies[0]: must be an address or a network"),
        ('allowed_hosts = ["https://x"]', "http.allowed_hosts[0]: must be a name"),
        ('anonymous = "admin"', "http.anonymous: must be none or read"),
        (
            'anonymous = "read"\nproxies = ["unix"]\nallowed_hosts = ["x"]',
            "anonymous and proxies exclude each other",
        ),
        ('max_body = "1GB"', "http.max_body: must be a size"),
        ("max_body = 5", "http.max_body: must be a size"),
        ("requests_per_second = 0", "http.requests_per_second: must be more than 0"),
        ('listn = "127.0.0.1:1"', "did you mean listen?"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, http: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, http)

    assert sentence in str(refused.value)


def test_a_daemon_loads_a_file_with_nothing_wrong_but_http(tmp_path: Path) -> None:
    loaded = load_config(None, {"DCA_SCHEDULER__HTTP__LISTEN": "8460"}, even_without_http=True)

    assert loaded.config.http is None
    assert "http.listen: must be ADDRESS:PORT" in loaded.http_problems[0]
    with pytest.raises(ConfigError):
        load(tmp_path, 'listen = "8460"\n[log]\nlevel = "loud"', even_without_http=True)


def test_a_socket_begins_at_the_files_folder(tmp_path: Path) -> None:
    loaded = load_config(None, {"DCA_SCHEDULER__HTTP__LISTEN": "unix:http.sock"})

    assert loaded.config.http is not None
    assert loaded.config.http.socket_path == str(Path.cwd() / "http.sock")
