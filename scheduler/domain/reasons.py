"""Why a person does something, for whoever looks next."""

from typing import Final

from scheduler.domain.errors import InvalidInput

LONGEST: Final = 1_000


def check_reason(text: str) -> str:
    """Return *text* without the blanks around it; InvalidInput where nobody could read it."""
    if not any(sign.isprintable() and not sign.isspace() for sign in text) or "\0" in text:
        raise InvalidInput(
            "the reason must be text, and not empty: say why, for whoever looks next"
        )
    if len(text) > LONGEST:
        raise InvalidInput(f"the reason has {len(text)} characters: {LONGEST} at most")
    return text.strip()


def check_any_reason(text: str | None) -> str | None:
    """As `check_reason`, where none has to be given."""
    return None if text is None else check_reason(text)
