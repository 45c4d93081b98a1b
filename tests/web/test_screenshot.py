"""README's picture of the overview can be taken, and the one that is kept is what it should be."""

import struct
from pathlib import Path

import pytest

from tests.web.screenshot import SIZE, main

KEPT = Path(__file__).resolve().parents[2] / "docs/overview.png"


def size_of(png: Path) -> tuple[int, int]:
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@pytest.mark.needs("chromium")
def test_the_overview_of_a_demo_is_photographed(tmp_path: Path) -> None:
    png = tmp_path / "overview.png"

    main(png)

    assert size_of(png) == SIZE
    assert png.stat().st_size > 40_000, "an empty page is smaller"


def test_the_picture_that_is_kept_is_small_and_shown_by_the_readme() -> None:
    assert size_of(KEPT) == SIZE
    assert KEPT.stat().st_size <= 200_000
    assert "docs/overview.png" in (KEPT.parents[1] / "README.md").read_text()
