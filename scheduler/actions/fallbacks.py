"""What holds for definitions that say nothing: the [defaults] of a configuration."""

from scheduler.config import Config
from scheduler.domain.definition import Fallbacks


def fallbacks_of(config: Config) -> Fallbacks:
    """Return what *config* says for definitions that say nothing."""
    return Fallbacks(
        max_attempts=config.defaults.max_attempts,
        first_pause=config.defaults.first_pause,
        longest_pause=config.defaults.longest_pause,
        on_unconfirmed=config.defaults.on_unconfirmed,
    )
