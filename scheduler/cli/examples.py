"""What is shipped beside the code: the example configuration, its inputs, the systemd unit."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def example_config() -> Path:
    """Return the example configuration, in an installed package or a checkout."""
    return _first(_PACKAGE / "_examples" / "config.example.toml", "config.example.toml")


def example_inputs() -> Path:
    """Return the folder of the inputs that the example configuration names."""
    return _first(_PACKAGE / "_examples" / "inputs", "inputs")


def systemd_unit_file() -> Path:
    """Return the unit file."""
    return _first(_PACKAGE / "_examples" / "dca-scheduler.service", "systemd/dca-scheduler.service")


def _first(installed: Path, in_checkout: str) -> Path:
    return installed if installed.exists() else _PACKAGE.parent / in_checkout
