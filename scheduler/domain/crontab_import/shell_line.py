"""The calls of curl and wget in a shell command, with what goes into them; nothing is run."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from scheduler.domain.errors import InvalidInput

_PROGRAMS: Final = ("curl", "wget")
_SHELLS: Final = ("sh", "bash", "dash", "zsh", "ksh")
_SEPARATORS: Final = frozenset({";", "&", "&&", "||", "|", "|&", "(", ")"})
_REDIRECTIONS: Final = frozenset({">", ">>", "<", ">&", "&>", "&>>", "<<<"})
_DATE: Final = re.compile(
    r"""(?:\$\(\s*date\s+(?P<a>[^()`]*?)\s*\)|`\s*date\s+(?P<b>[^`]*?)\s*`)"""
)
_PROGRAM_NAME: Final = re.compile(r"[a-z][a-z0-9_.+-]{0,24}")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_REFERENCE: Final = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))")
_LONG_DIRECTIVES: Final = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A curl or a wget: its words, its working *folder*, and its standard input: text or a file."""

    program: str
    words: tuple[str, ...]
    folder: str | None = None
    stdin: str | None = None
    stdin_file: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """The calls of a command, and what of it is left out, in sentences."""

    calls: tuple[Call, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Walk:
    variables: Mapping[str, str]
    calls: list[Call] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)
    folder: str | None = None
    piped: tuple[str | None, str | None] = (None, None)
    stdin: str | None = None

    def warn(self, sentence: str) -> None:
        self.warnings[sentence] = None


def read_command(text: str, *, variables: Mapping[str, str], stdin: str | None) -> Command:
    """
    Take a shell command apart; raises InvalidInput for one that only a shell can follow.

    `$(date +FORMAT)` becomes `{due_at:FORMAT}`, a variable of *variables* its value; other
    variables stay as they are written.
    """
    walk = _Walk(variables=variables, stdin=stdin)
    _read(walk, text)
    return Command(tuple(walk.calls), tuple(walk.warnings))


def _read(walk: _Walk, text: str) -> None:
    for words, operator in _segments(_with_dates(text)):
        _read_segment(walk, words, operator)


def _with_dates(text: str) -> str:
    return _DATE.sub(lambda found: _due_at(found["a"] or found["b"] or ""), text)


def _due_at(arguments: str) -> str:
    try:
        words = shlex.split(arguments)
    except ValueError:
        words = []
    if len(words) != 1 or not words[0].startswith("+"):
        raise InvalidInput(f"it computes a time with `date {arguments}`: only +FORMAT is known")
    directives = words[0][1:]
    for short, long in _LONG_DIRECTIVES.items():
        directives = directives.replace(short, long)
    return f"{{due_at:{directives}}}"


def _segments(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield the simple commands, each with the operator that ends it."""
    if "$'" in text:
        raise InvalidInput("it quotes with $'…': write the text in plain quotes")
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word.startswith("#") and not words:
                break
            if word in _SEPARATORS:
                yield words, word
                words = []
            else:
                words.append(word)
    except ValueError as error:
        raise InvalidInput(f"a shell could not read it: {str(error).lower()}") from None
    yield words, ""


def _read_segment(walk: _Walk, words: list[str], operator: str) -> None:
    words, stdin_file = _without_redirections(words)
    piped, walk.piped = walk.piped, (None, None)
    if not words:
        return
    place = next((i for i, word in enumerate(words) if _name(word) in _PROGRAMS), None)
    inner = _inner_command(words)
    if inner is not None:
        _read(walk, inner)
    elif place is None:
        _read_other(walk, words, operator)
    else:
        for word in words[:place]:
            if _name(word) in ("flock", "timeout", "nice", "ionice", "sudo", "env", "chronic"):
                walk.warn(f"{_name(word)} around {_name(words[place])} is not imported")
        given = piped[0] if piped[0] is not None else walk.stdin
        call = Call(
            program=_name(words[place]),
            words=tuple(words[place + 1 :]),
            folder=walk.folder,
            stdin=given,
            stdin_file=stdin_file or piped[1],
        )
        walk.calls.append(_expanded(call, walk.variables))


def _read_other(walk: _Walk, words: Sequence[str], operator: str) -> None:
    name = _name(words[0])
    if name == "cd" and len(words) > 1:
        walk.folder = _expand(words[1], walk.variables)
    elif operator == "|" and name in ("echo", "printf", "cat") and len(words) > 1:
        walk.piped = _output(name, words[1:], walk.variables)
    elif _ASSIGNMENT.match(words[0]) and walk.calls and _is_trigger(walk.calls[-1]):
        name = words[0].partition("=")[0]
        walk.warn(
            f"a & without quotes ends the command for the shell: {name}, and what follows it, was"
            " never sent"
        )
    elif all(_ASSIGNMENT.match(word) for word in words):
        walk.variables = {**walk.variables, **dict(word.split("=", 1) for word in words)}
    elif name not in ("exit", "true", ":"):
        where = "after" if walk.calls else "before"
        walk.warn(f"{told_program(name)} {where} the call is not imported")


def told_program(word: str) -> str:
    """Name a program for people; what does not look like one may be a secret, and is not told."""
    name = _name(word)
    return repr(name) if _PROGRAM_NAME.fullmatch(name) else "a command"


def _is_trigger(call: Call) -> bool:
    return any("/dca/trigger" in word for word in call.words)


def _output(
    name: str, words: Sequence[str], variables: Mapping[str, str]
) -> tuple[str | None, str | None]:
    plain = [_expand(word, variables) for word in words if word not in ("-n", "-e", "-E", "--")]
    if name == "cat":
        return None, plain[0] if plain else None
    if name == "printf" and len(plain) > 1 and plain[0] in ("%s", "%s\\n"):
        plain = plain[1:]
    return " ".join(plain), None


def _without_redirections(words: Sequence[str]) -> tuple[list[str], str | None]:
    kept: list[str] = []
    stdin_file = None
    rest = iter(words)
    for word in rest:
        if word not in _REDIRECTIONS:
            kept.append(word)
            continue
        target = next(rest, None)
        if kept and kept[-1] in ("1", "2"):
            kept.pop()
        if word == "<":
            stdin_file = target
    return kept, stdin_file


def _inner_command(words: Sequence[str]) -> str | None:
    """Return what `sh -c TEXT` runs."""
    for place, word in enumerate(words[:-2]):
        if _name(word) in _SHELLS and re.fullmatch(r"-[a-z]*c", words[place + 1]):
            return words[place + 2]
    return None


def _expanded(call: Call, variables: Mapping[str, str]) -> Call:
    words = tuple(_expand(word, variables) for word in call.words)
    if any("$(" in word or "`" in word for word in words):
        raise InvalidInput("it holds the output of another command, which only a shell can make")
    stdin = call.stdin
    return replace(call, words=words, stdin=None if stdin is None else _expand(stdin, variables))


def _expand(word: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return variables.get(found["braced"] or found["bare"], found[0])

    return _REFERENCE.sub(value, word)


def _name(word: str) -> str:
    return word.rpartition("/")[2]
