"""
Logging set up once: JSON lines for machines, a readable form on a terminal, secrets in neither.

Records of the standard library come out in the form of our own events. The redactor is the last to
touch an event before it is written; it errs on the side of hiding.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from scheduler.log_lines import Lines, lines_to

HIDDEN: Final = "[redacted]"

_CHATTY: Final = ("httpx", "httpcore", "aiohttp", "alembic", "uvicorn")
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
        (r"\bdcas_[0-9A-Za-z]{20,}", HIDDEN),  # our own, see domain.access
    )
)
# Every pattern needs one of these, and looking for them costs a tenth of looking for those.
_SUSPECTS: Final = (
    *_WORDS.split("|"),
    *("key", "://", "?", "&", ";", "-----begin", "akia", "asia", "dcas_"),
)
# Names of credentials that are no part of a word, and escapes, which may hide any letter.
_SUSPECTS_IN_JSON: Final = (*_SUSPECTS, "auth", "sas", "sig", "\\u")
# Control characters, line and paragraph separators, bidirectional overrides, lone surrogates.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def configure_logging(
    level: str = "info",
    format: str = "auto",
    stream: TextIO | None = None,
    *,
    in_background: bool = False,
    of_requests: bool = False,
) -> Lines:
    """
    Send everything that is logged at *level* or above to *stream*, standard error if None.

    *format* is `json`, `console`, or `auto`: console on a terminal, JSON lines elsewhere. May be
    called again. A stream that is closed or broken loses lines and nothing else; *in_background*,
    one that nobody reads as well. Lines *of_requests* carry what is bound to the
    request that they are of. Return the lines, to drain them at the end.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    lines = lines_to(sys.stderr if stream is None else stream, in_background=in_background)
    is_console = format == "console" or (format == "auto" and lines.is_terminal)
    rendering = _console(has_colors=lines.is_terminal) if is_console else [_json]
    if lines.is_journal and not is_console:
        rendering = [_json_for_the_journal]

    if of_requests:
        rendering = [structlog.contextvars.merge_contextvars, *rendering]

    logging.getLogger().handlers = [_Handler(lines, rendering)]
    logging.getLogger().setLevel(least)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))
    # Our own events do not go through the standard library, which takes four times as long.
    structlog.configure(
        processors=[*_SHARED, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    return lines


def render_many(
    events: Iterable[tuple[int, str, Mapping[str, object]]], *, doubtful: Collection[str]
) -> Callable[[], None]:
    """
    Return what writes a line for each level, event and fields, as a logger would.

    JSON lines are ready by then, and take a third of the time: what is the same for all is found
    out once, and only fields called in *doubtful* are looked through for secrets. No other may
    hold any.
    """
    logger, config = structlog.get_logger().bind(), structlog.get_config()
    if config["processors"] != [*_SHARED, _json]:
        return lambda: _log_each(logger, events)
    lines = config["logger_factory"]()
    stamp = _STAMPER(lines, "", {})
    rendered = []
    for level, event, fields in events:
        if not logger.is_enabled_for(level):
            continue
        name = logging.getLevelName(level).lower()
        whole = {**fields, "event": event, "level": name, **stamp}
        seen = " ".join([str(fields[key]) for key in doubtful if key in fields])
        is_suspect = _is_suspect(seen, _SUSPECTS)
        rendered.append(_json(lines, name, whole) if is_suspect else _ENCODER.encode(whole))
    return lambda: lines.write_all(rendered)


def _log_each(logger: Any, events: Iterable[tuple[int, str, Mapping[str, object]]]) -> None:
    for level, event, fields in events:
        logger.log(level, event, **fields)


class _Handler(logging.Handler):
    """Gives what the standard library logs the form of our own events."""

    def __init__(self, lines: Lines, rendering: Sequence[Processor]) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[
                    structlog.stdlib.add_logger_name,
                    structlog.stdlib.PositionalArgumentsFormatter(),
                    *_SHARED,
                ],
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *rendering,
                ],
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*, or drop it if its text and its arguments do not fit together."""
        with suppress(Exception):
            self._lines.write(self.format(record))


_STAMPER: Final = structlog.processors.TimeStamper(fmt="iso", utc=True)
_SHARED: Final[Sequence[Processor]] = (
    structlog.stdlib.add_log_level,
    _STAMPER,
    structlog.processors.StackInfoRenderer(),
    # Here, and as plain text: richer tracebacks show the values of variables.
    structlog.processors.format_exc_info,
)


def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Hide, in every value of *event*, what is or may be a secret; what is left is plain data."""
    return cast(EventDict, _redacted(event))


def redact_text(text: str) -> str:
    """Hide what looks like a credential in *text*."""
    if not _is_suspect(text, _SUSPECTS):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _is_suspect(text: str, signs: Sequence[str]) -> bool:
    return any(map(text.casefold().__contains__, signs))


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


def _json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Render *event*; where one look at the whole line finds nothing, that is all it takes."""
    try:
        line = _ENCODER.encode(event)
    except (TypeError, ValueError):  # keys of other kinds, or a value that holds itself
        return _ENCODER.encode(_redacted(event))
    return _ENCODER.encode(_redacted(event)) if _is_suspect(line, _SUSPECTS_IN_JSON) else line


_PRIORITIES: Final = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""As sd-daemon(3) has them, so that `journalctl -p warning` finds what it should."""


def _json_for_the_journal(logger: WrappedLogger, method: str, event: EventDict) -> str:
    priority = _PRIORITIES.get(str(event.get("level")), 3)
    return f"<{priority}>{_json(logger, method, event)}"


# Bytes are told by their number, as `_redacted` does.
_ENCODER: Final = json.JSONEncoder(default=lambda value: _redacted(value, _DEEPEST))


def _console(*, has_colors: bool) -> list[Processor]:
    return [
        redact,
        _escape,
        structlog.dev.ConsoleRenderer(
            colors=has_colors and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
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
