"""Configuration files for tests: written to a folder, loaded, and what is wrong with them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from scheduler.config import Config, load_config
from scheduler.domain.errors import ConfigError

SOUND = """
[accounts.main]
token = { env = "DCA_API_TOKEN" }

[collectors.products]
id = "c_products"

[batches.pages]
inputs = [{ url = "https://example.com/" }]

[schedules.nightly]
collector = "products"
batch = "pages"
cron = "0 2 * * *"
"""
"""A small valid file; a test adds keys to its last table, or tables."""


def write(folder: Path, text: str) -> Path:
    """Write *text* as the configuration of *folder*."""
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    """Return *text* as a configuration."""
    return load_config(write(folder, text), environ or {}).config


def problems(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return all that is wrong with *text*, which must be something."""
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text), environ or {})
    return list(caught.value.problems)
