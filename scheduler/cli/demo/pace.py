"""What the demo sets beside config.toml, by the documented rule for environment variables."""

from collections.abc import Mapping
from typing import Final

_OURS: Final = "DCA_SCHEDULER"
# A daemon that systemd started must not hear from a demo.
_FOREIGN: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})

FASTER: Final = {
    "DCA_SCHEDULER__SCHEDULES__FRONT_PAGES__EVERY": "2s",
    "DCA_SCHEDULER__SCHEDULES__NIGHTLY_PRODUCTS__EVERY": "3s",
    "DCA_SCHEDULER__SCHEDULES__MONTHLY_CATALOGUE__EVERY": "6s",
    # One second beside nightly-products: its confirm_cancel would take a waiting run's place.
    "DCA_SCHEDULER__SCHEDULES__MONTHLY_CATALOGUE__ANCHOR": "2026-01-01T00:00:01Z",
    "DCA_SCHEDULER__SCHEDULES__MONTHLY_CATALOGUE__EXCLUDE": "[]",
    "DCA_SCHEDULER__FOLLOW__FIRST_PAUSE": "1s",
    "DCA_SCHEDULER__FOLLOW__LONGEST_PAUSE": "1s",
}
"""What makes schedules of the example fire within seconds."""


def daemon_environment(environ: Mapping[str, str], base_url: str) -> dict[str, str]:
    """Return the daemon's environment: no setting of the caller's own reaches the demo."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith(_OURS) and name not in _FOREIGN
    }
    return {
        **kept,
        **FASTER,
        "DCA_SCHEDULER__ACCOUNTS__MAIN__BASE_URL": base_url,
        "DCA_API_TOKEN": "a-token-for-the-sandbox",
    }
