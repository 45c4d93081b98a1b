"""What is shipped beside the code: an example with its inputs, the unit, dashboard and alerts."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def example_config() -> Path:
    """Return the example configuration, in an installed package or a checkout."""
    return _first(_PACKAGE / "_examples" / "config.example.toml", "config.example.toml")


def example_inputs() -> Path:
    """Return the folder of the inputs that the example configuration names."""
    return _first(_PACKAGE / "_examples" / "inputs", "inputs")


UNITS = (
    "dca-scheduler.service",
    "dca-scheduler.socket",
    "dca-scheduler-watchdog.service",
    "dca-scheduler-watchdog.timer",
)


def systemd_unit_file(name: str = UNITS[0]) -> Path:
    """Return one of the UNITS."""
    return _first(_PACKAGE / "_examples" / name, f"systemd/{name}")


def dashboard_file() -> Path:
    """Return the Grafana dashboard."""
    return _monitoring("dashboard.json")


def alert_rules_file() -> Path:
    """Return Prometheus' alert rules."""
    return _monitoring("alerts.yml")


def _monitoring(name: str) -> Path:
    return _first(_PACKAGE / "_examples" / "monitoring" / name, f"monitoring/{name}")


def _first(installed: Path, in_checkout: str) -> Path:
    return installed if installed.exists() else _PACKAGE.parent / in_checkout
