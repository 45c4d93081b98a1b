"""A trigger as the curl command that sends the same request."""

import re
import shlex
from collections.abc import Iterable
from typing import Final

from scheduler.domain.request import query_string
from scheduler.domain.request.secrets import JSON_PARAMS

_QUOTED_REFERENCE: Final = re.compile(r"%24%7Bsecret%3A([A-Za-z0-9_.-]+)%7D")


def curl_command(
    base_url: str,
    params: Iterable[tuple[str, str]],
    content_type: str,
    body: bytes,
    *,
    token_variable: str,
    body_file: str | None = None,
) -> str:
    """
    Return the command that sends exactly this trigger, safe to paste into bash, zsh or ksh.

    The token is the shell's variable *token_variable*, which curl reads from its standard input:
    every user of a machine may see the words that a program is started with. A reference
    `${secret:NAME}` stays as it is, to be replaced by hand with the secret, percent-encoded. With
    *body_file* the command reads the body from that file: a shell takes no argument as long as a
    large body.
    """
    query = "&".join(_pair(name, value) for name, value in params)
    url = f"{base_url.rstrip('/')}/dca/trigger?{query}"
    content = (
        f"--data-raw {_shell(body)}"
        if body_file is None
        else f"--data-binary {_shell(f'@{body_file}'.encode())}"
    )
    return " \\\n  ".join(
        (
            # Otherwise curl would read the braces of a reference as a pattern.
            f"printf 'Authorization: Bearer %s\\n' \"${token_variable}\" |"
            f" curl --globoff --request POST {_shell(url.encode())}",
            "--header @-",
            f"--header {_shell(f'Content-Type: {content_type}'.encode())}",
            content,
        )
    )


def _pair(name: str, value: str) -> str:
    pair = query_string([(name, value)])
    return _QUOTED_REFERENCE.sub(r"${secret:\1}", pair) if name in JSON_PARAMS else pair


def _shell(raw: bytes) -> str:
    """Quote *raw* for a shell: plain where it can be, escaped where pasting could change it."""
    text = raw.decode(errors="surrogateescape")
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(map(_escaped, text)) + "'"


# A shell that looks for history (`!`) before it looks for quotes may not know those of $'…'.
_ESCAPES: Final = {
    "'": "\\'",
    "\\": "\\\\",
    "!": "\\041",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}


def _escaped(char: str) -> str:
    if char in _ESCAPES or char.isprintable():
        return _ESCAPES.get(char, char)
    # Octal, at its full three digits: a digit that follows cannot be taken for part of it.
    return "".join(f"\\{byte:03o}" for byte in char.encode(errors="surrogateescape"))
