"""Which zone data is used: the newest there is."""

import zoneinfo
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tzdata

from scheduler.domain.timetable import ZONE_DATA, find_zone, zones


def test_vancouver_keeps_summer_time_whatever_the_systems_data_says() -> None:
    """Since 2026b; many systems have an older one."""
    noon = datetime(2026, 12, 1, 12, tzinfo=UTC).astimezone(find_zone("America/Vancouver"))

    assert f"{noon:%H:%M %z}" == "05:00 -0700"
    assert ZONE_DATA >= "2026b"


@pytest.mark.parametrize(
    ("file", "line", "version"),
    [
        ("tzdata.zi", "# version 2025b\n# more", tzdata.IANA_VERSION),
        ("tzdata.zi", "# version 2099a\n", "2099a"),
        ("+VERSION", "2099a\n", "2099a"),
        ("zone.tab", "", tzdata.IANA_VERSION),
    ],
)
def test_the_newer_of_the_systems_and_the_packages_data_is_taken(
    tmp_path: Path, file: str, line: str, version: str
) -> None:
    (tmp_path / file).write_text(line)
    before = zoneinfo.TZPATH
    try:
        zoneinfo.reset_tzpath((str(tmp_path),))

        assert zones._use_newest() == version
        assert ((str(tmp_path),) if version == "2099a" else ()) == zoneinfo.TZPATH
    finally:
        zoneinfo.reset_tzpath(before)
        zoneinfo.ZoneInfo.clear_cache()
