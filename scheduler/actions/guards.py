"""What keeps a request from costing what nobody meant."""

from typing import Final
from urllib.parse import parse_qsl

from scheduler.config import Config
from scheduler.domain.errors import Conflict, InvalidInput
from scheduler.domain.request import check_destinations, secret_names
from scheduler.domain.suggestions import did_you_mean

MOST_AT_ONCE: Final = 1_000
"""More runs than this are written only when that is confirmed: no slip may cost that much."""


def check_secrets(query: str, config: Config) -> None:
    """Raise InvalidInput where a *query* names a secret that is not there, or may not go there."""
    params = parse_qsl(query)
    for name in sorted(secret_names(params) - config.secrets.keys()):
        hint = did_you_mean(name, config.secrets)
        raise InvalidInput(f"there is no secret {name} in [secrets]{hint}")
    check_destinations(params, lambda name, place: config.secrets[name].may_go_to(place))


def edited_meanwhile(batch: str) -> Conflict:
    """Return what is told when a batch was edited after it was read and before it was written."""
    return Conflict(f"batch {batch!r} was edited while it was read: nothing was written; ask again")
