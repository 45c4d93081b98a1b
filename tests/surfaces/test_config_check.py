"""`config check`: what a right file names, and cannot be read here and now."""

import pytest

from tests.surfaces.rig import CONFIG, Home

TOKEN = '{ env = "DCA_API_TOKEN" }'


@pytest.fixture
def sound(empty_home: Home) -> Home:
    """Return a home whose secrets are all there."""
    empty_home.environ.update(DCA_API_TOKEN="t", S="s")
    return empty_home


def warnings(home: Home, config: str) -> list[str]:
    home.config.write_text(config)
    told: list[str] = home.done("config", "check", "--json").json["warnings"]
    assert home.done("config", "check").out.splitlines()[1:] == [f"warning: {one}" for one in told]
    return told


@pytest.mark.parametrize(
    ("token", "warning"),
    [
        (TOKEN, None),
        ('{ env = "NO_TOKEN" }', "accounts.main.token: the environment variable NO_TOKEN is not"),
        ('{ env = "TWO" }', "accounts.main.token: it holds a space"),
        ('{ file = "/nowhere/token" }', "accounts.main.token: /nowhere/token cannot be read"),
        ('{ credential = "token" }', None),
    ],
)
def test_a_token_that_cannot_be_read_is_a_warning(
    sound: Home, token: str, warning: str | None
) -> None:
    sound.environ["TWO"] = "one two"

    told = warnings(sound, CONFIG.replace(TOKEN, token))

    assert [one[: len(warning or "")] for one in told] == ([warning] if warning else [])


def test_a_secret_that_is_not_there_is_a_warning(sound: Home) -> None:
    del sound.environ["S"]

    [told] = warnings(sound, CONFIG)

    assert told.startswith("secrets.s: the environment variable S is not set")


def test_a_batch_that_is_there_and_no_inputs_is_a_warning(sound: Home) -> None:
    (sound.folder / "bad.csv").write_text("url\nhttps://example.com\na,b\n")
    (sound.folder / "good.csv").write_text("url\nhttps://example.com\n")
    more = '\n[batches.{0}]\nfile = "{0}.csv"\nrequired = ["url"]'

    told = warnings(sound, CONFIG + "".join(map(more.format, ("bad", "good", "gone"))))

    assert [one.partition(":")[0] for one in told] == ["batches.gone.file", "batches.bad.file"]
    assert f"{sound.folder}/bad.csv:3" in told[1]
