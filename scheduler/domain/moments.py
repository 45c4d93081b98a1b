"""How a moment is written: for people, and for programs. Always in UTC."""

from datetime import UTC, datetime


def moment_text(moment: datetime) -> str:
    """Write a moment for people, to the second: `2026-03-02 09:00:00Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def moment_iso(moment: datetime) -> str:
    """Write a moment for programs, logs and the shell: `2026-03-02T09:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
