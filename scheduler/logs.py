"""
Logging set up once: JSON lines for machines, a readable form on a terminal, secrets in neither.

Records of the standard library take the same way as our own events. The redactor is the last to
touch an event before it is rendered; it errs on the side of hiding.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

HIDDEN: Final = "[redacted]"

_CHATTY: Final = ("httpx", "httpcore", "aiohttp", "alembic", "apscheduler")
_DEEPEST: Final = 8
_MULTILINE: Final = frozenset({"exception", "stack"})

_WORDS: Final = (
    "token|secret|password|passwd|passphrase|pwd|credential|signature|authorization|cookie|bearer"
)
_CREDENTIAL: Final = rf"(?:{_WORDS}|(?:api|access|account|private)[_-]?key)"
_CREDENTIAL_KEY: Final = re.compile(rf"{_CREDENTIAL}|(?:^|[_-])(?:auth|sas|sig)(?:$|[_-])", re.I)
_PATTERNS: Final = tuple(
    (re.compile(pattern, re.I | re.S), replacement)
    for pattern, replacement in (
        (
            r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            HIDDEN,
        ),
        (r"\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)(?:\w+ )?[^\s\"',;]+", rf"\1{HIDDEN}"),
        (r"\b(bearer)\s+(?!\[redacted)[^\s\"',;]+", rf"\1 {HIDDEN}"),
        # User and password of a URL; a password may itself hold an @.
        (r"(://)[^/\s\"'<>]*@", rf"\1{HIDDEN}@"),
        (r"([?&](?:deliver|notify)=)[^&\s\"'<>#]*", rf"\1{HIDDEN}"),
        (rf"({_CREDENTIAL}[\w.-]{{0,40}}=)(?!\[redacted)[^&\s\"'<>#,;]+", rf"\1{HIDDEN}"),
        (r"([?&;](?:sig|sas|auth|key)=)[^&\s\"'<>#]+", rf"\1{HIDDEN}"),
        (
            rf"({_CREDENTIAL}[\w.-]{{0,40}}[\"']\s*:\s*)(?:\"[^\"]*\"|'[^']*'|[\w.+/=-]+)",
            rf'\1"{HIDDEN}"',
        ),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", HIDDEN),
    )
)
# Every pattern needs one of these, and one look at the lower-case text costs a tenth of theirs.
_SUSPECT: Final = re.compile(rf"{_WORDS}|key|://|[?&;]|-----begin|akia|asia")
# Control characters, line and paragraph separators, bidirectional overrides, lone surrogates.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def configure_logging(
    level: str = "info", format: str = "auto", stream: TextIO | None = None
) -> None:
    """
    Send everything that is logged at *level* or above to *stream*, standard error if None.

    *format* is `json`, `console`, or `auto`: console on a terminal, JSON lines elsewhere. May be
    called again. A stream that is closed or broken loses lines and nothing else.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().handlers = [_handler(format, sys.stderr if stream is None else stream)]
    logging.getLogger().setLevel(least)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _handler(format: str, stream: TextIO | None) -> logging.Handler:
    if stream is None:  # the process was started without a standard error
        return logging.NullHandler()
    is_console = format == "console" or (format == "auto" and _is_terminal(stream))
    handler = _Handler(stream)
    handler.setFormatter(_formatter(_console(stream) if is_console else [_json()]))
    return handler


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide, in every value of *event*, what is or may be a secret; what is left is plain data."""
    return cast(EventDict, _redacted(event))


def redact_text(text: str) -> str:
    """Hide what looks like a credential in *text*."""
    if not _SUSPECT.search(text.casefold()):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _redacted(value: object, depth: int = 0) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray):
        return f"[{len(value)} bytes]"
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {
            _redacted_key(str(key)): _redacted_under(str(key), item, depth)
            for key, item in value.items()
        }
    if depth < _DEEPEST and isinstance(value, Sequence | set | frozenset):
        return [_redacted(item, depth + 1) for item in value]
    return redact_text(str(value))


# The same few keys come again and again.
_redacted_key = lru_cache(redact_text)


@lru_cache
def _is_credential(key: str) -> bool:
    return _CREDENTIAL_KEY.search(key) is not None


def _redacted_under(key: str, value: object, depth: int) -> object:
    if _is_credential(key) and value is not None and not isinstance(value, bool):
        return HIDDEN
    return _redacted(value, depth + 1)


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Here, and as plain text: richer tracebacks show the values of variables.
        structlog.processors.format_exc_info,
    ]


def _formatter(rendering: list[Processor]) -> logging.Formatter:
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *_shared()],
        processors=[remove_meta, redact, *rendering],
    )


def _json() -> Processor:
    return structlog.processors.JSONRenderer(sort_keys=False)


def _console(stream: TextIO) -> list[Processor]:
    has_colors = _is_terminal(stream) and not os.environ.get("NO_COLOR")
    return [
        _escape,
        structlog.dev.ConsoleRenderer(
            colors=has_colors, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _escape(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Write characters that steer a terminal as what they are, so that no value can."""
    return {_escaped(key): _escaped_value(key, value) for key, value in event.items()}


def _escaped_value(key: str, value: object) -> object:
    if not isinstance(value, str):
        return _escaped(str(value)) if isinstance(value, dict | list) else value
    if key in _MULTILINE:
        return "\n".join(_escaped(line) for line in value.split("\n"))
    return _escaped(value)


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines; one that cannot be written is dropped, for logging must not end the program."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Do nothing."""
