"""What holds for definitions that say nothing: the [defaults] of a configuration."""

from scheduler.config import Config
from scheduler.domain.definition import RunDefaults


def run_defaults_of(config: Config) -> RunDefaults:
    """Return what *config* says for definitions that say nothing."""
    return RunDefaults(
        max_attempts=config.defaults.max_attempts,
        backoff_initial=config.defaults.backoff_initial,
        backoff_max=config.defaults.backoff_max,
        on_unconfirmed=config.defaults.on_unconfirmed,
    )
