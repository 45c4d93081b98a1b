"""What is wrong with a database URL before anybody connects to it."""

import re

_STRAY_AT = re.compile(r"[\w+]+://[^:/?@]*:[^@]*@(?:[^?]*|[^?]*\?(?:[^=]*|.*&[^=]*))@", re.S)


def check_password(url: str) -> None:
    """Refuse a password that holds a bare @: its rest would be taken for the host, and shown."""
    if url.startswith("postgresql") and _STRAY_AT.match(url):
        raise ValueError(
            "holds more than one @: in the user and the password write @ as %40"
            " (and % as %25, : as %3A, / as %2F)"
        )
