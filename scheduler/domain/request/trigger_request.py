"""What leaves this machine for one run."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """
    One trigger, exactly as it is sent: secrets are expanded.

    Its repr shows neither the parameters nor the body, because both may hold secrets.
    """

    params: tuple[tuple[str, str], ...] = field(repr=False)
    content_type: str
    body: bytes = field(repr=False)
