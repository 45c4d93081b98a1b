"""The calls of curl and wget in a shell command, with what goes into them; nothing is run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from scheduler.domain.errors import InvalidInput
from scheduler.tools.crontab_import.shell_words import OUTPUT, Operator, plain, split_words

UNSET: Final = "\ue003"
"""The dollar of a variable that nothing sets here: the shell would have filled it in."""

_PROGRAMS: Final = ("curl", "wget")
_SHELLS: Final = ("sh", "bash", "dash", "zsh", "ksh")
_TAKE_COMMANDS: Final = (*_SHELLS, "su", "runuser", "flock", "sg")
_REDIRECTIONS: Final = frozenset({">", ">>", "<", ">&", "<&", "&>", "&>>", "<<<", "<<"})
_AROUND: Final = frozenset(
    {"flock", "timeout", "nice", "ionice", "sudo", "env", "chronic", "nohup", "setsid", "time"}
    | {"command", "exec", "stdbuf", "systemd-cat", "cronic"}
)
# They hardly fail, and nobody writes them to decide anything.
_NO_CONDITIONS: Final = frozenset(
    {
        "cd",
        "pushd",
        "export",
        "true",
        ":",
        "sleep",
        "echo",
        "printf",
        "cat",
        "mkdir",
        "umask",
        "ulimit",
    }
    | {"set", "logger", "touch", "date", "exit", "source", "."}
)
_OPENING: Final = {"if": "fi", "while": "done", "until": "done", "for": "done", "case": "esac"}
_CLOSING: Final = frozenset(_OPENING.values())
_BETWEEN: Final = frozenset({"then", "else", "elif", "do", "function", "{", "}", "!", *_CLOSING})
_PROGRAM_NAME: Final = re.compile(r"[a-z][a-z0-9_.+-]{0,24}")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
_REFERENCE: Final = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    A curl or a wget: its words, its working *folder*, and its standard input: text or a file.

    *condition* names what decides whether it is made at all; a dollar that nothing fills in is
    UNSET in its words.
    """

    program: str
    words: tuple[str, ...]
    folder: str | None = None
    stdin: str | None = None
    stdin_file: str | None = None
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """The calls of a command, and what of it is left out, in sentences."""

    calls: tuple[Call, ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Scope:
    """What a subshell has of its own: its folder, its variables, and what decides on its rest."""

    variables: Mapping[str, str]
    folder: str | None = None
    folder_before: str | None = None
    gate: str | None = None
    chain: str | None = None
    stops_on_error: bool = False


@dataclass(slots=True)
class _Walk:
    scopes: list[_Scope]
    stdin: str | None
    calls: list[Call] = field(default_factory=list)
    warnings: dict[str, None] = field(default_factory=dict)
    blocks: list[str | None] = field(default_factory=list)
    piped: tuple[str | None, str | None] = (None, None)
    last: str | None = None
    function: str | None = None

    @property
    def scope(self) -> _Scope:
        return self.scopes[-1]

    @property
    def condition(self) -> str | None:
        """What decides whether the command is run that is being read."""
        gates = (scope.chain or scope.gate for scope in self.scopes)
        return next((each for each in (*self.blocks, *gates) if each is not None), None)

    def warn(self, sentence: str) -> None:
        self.warnings[sentence] = None

    def enter(self) -> None:
        scope = self.scope
        self.scopes.append(_Scope(scope.variables, scope.folder))

    def leave(self) -> None:
        if len(self.scopes) > 1:
            self.scopes.pop()


def read_command(text: str, *, variables: Mapping[str, str], stdin: str | None) -> Command:
    """
    Take a shell command apart; raises InvalidInput for one that only a shell can follow.

    `$(date +FORMAT)` becomes `{due_at:FORMAT}`, a variable of *variables* its value.
    """
    walk = _Walk(scopes=[_Scope(variables)], stdin=stdin)
    _read(walk, text)
    return Command(tuple(walk.calls), tuple(walk.warnings))


def _read(walk: _Walk, text: str) -> None:
    before, is_piped = walk.scope.folder, False
    for words, operator in _without_function_heads(walk, _segments(text)):
        folder = walk.scope.folder
        if words:
            _read_segment(walk, words, operator)
        # What is in a pipe has a shell of its own; in the background, a whole list has.
        if is_piped or operator in ("|", "|&"):
            walk.scope.folder = folder
        is_piped = operator in ("|", "|&")
        if operator == "&":
            walk.scope.folder = before
        if operator not in ("&&", "||", "|", "|&"):
            before = walk.scope.folder
        if operator == "(":
            walk.enter()
            walk.scope.gate, walk.function = walk.function, None
        elif operator == ")":
            walk.leave()
        elif operator in ("&&", "||"):
            _chain(walk, operator)
        elif operator not in ("|", "|&"):
            fails = walk.last is not None and walk.last not in _NO_CONDITIONS
            if walk.scope.stops_on_error and fails:
                walk.scope.gate = walk.scope.gate or walk.last
            walk.scope.chain = None


def _without_function_heads(
    walk: _Walk, segments: Iterator[tuple[list[str], str]]
) -> Iterator[tuple[list[str], str]]:
    """Yield the segments, but for each `NAME()`: its body is run where NAME is, if at all."""
    for words, operator in segments:
        if operator == "(" and words:
            head, (words, operator) = words, next(segments, ([], ""))
            if not words and operator == ")":
                head = _without_keywords(walk, head)
                if head:
                    walk.function = f"function {told_condition(head[-1])}"
                continue
            yield head, "("
        yield words, operator


def _chain(walk: _Walk, operator: str) -> None:
    """Keep what decides whether the next command is run, if the last one does."""
    decides = walk.last is not None and (operator == "||" or walk.last not in _NO_CONDITIONS)
    if decides and walk.scope.chain is None:
        walk.scope.chain = walk.last


def _segments(text: str) -> Iterator[tuple[list[str], str]]:
    """Yield the simple commands, each with the operator that ends it."""
    words: list[str] = []
    for word in split_words(text):
        if isinstance(word, Operator) and word not in _REDIRECTIONS:
            yield words, word
            words = []
        else:
            words.append(word)
    yield words, ""


def _read_segment(walk: _Walk, words: list[str], operator: str) -> None:
    words, stdin_file = _without_redirections(_without_keywords(walk, words))
    piped, walk.piped = walk.piped, (None, None)
    if not words:
        return
    index = next((i for i, word in enumerate(words) if _name(word) in _PROGRAMS), None)
    inner = _inner_command(words)
    if inner is not None:
        _read_inner(walk, words, inner)
    elif index is None or _name(words[0]) in _NO_CONDITIONS:
        _read_other(walk, words, operator)
    else:
        condition = walk.condition or _condition_around(walk, words[:index], words[index])
        given = piped[0] if piped[0] is not None else walk.stdin
        call = _expanded(
            Call(
                program=_name(words[index]),
                words=tuple(words[index + 1 :]),
                folder=_folder_around(walk.scope, words[:index]),
                stdin=given,
                stdin_file=stdin_file or piped[1],
                condition=condition,
            ),
            walk.scope.variables,
        )
        walk.calls.append(call)
        # Of two triggers one may follow the other; nobody asks curl whether it went well.
        first = next(word for word in words if not _ASSIGNMENT.match(word))
        is_decision = operator == "||" or not _is_trigger(call)
        walk.last = told_condition(first) if is_decision else None


def _without_keywords(walk: _Walk, words: list[str]) -> list[str]:
    """Take the words off with which the shell begins and ends a block, and keep its condition."""
    while words and (words[0] in _OPENING or words[0] in _BETWEEN):
        word, *words = words
        if word == "function":
            name, *words = words or [""]
            walk.function = f"function {told_condition(name)}"
        elif word in _OPENING:
            rest = [each for each in words if each != "!"]
            what = told_condition(rest[0]) if rest and word in ("if", "while", "until") else ""
            walk.blocks.append(f"{word} {what}".strip())
            if word in ("for", "case"):
                return []
        elif word == "{":
            walk.blocks.append(walk.function or walk.scope.chain)
            walk.function = None
        elif word == "}" and walk.blocks:
            walk.blocks.pop()
        elif word in _CLOSING and walk.blocks:
            walk.blocks.pop()
            walk.last = None
    return words


def _condition_around(walk: _Walk, around: Sequence[str], program: str) -> str | None:
    """Return which program before a call decides whether it is made; tells of the others."""
    names = [_name(word) for word in around if not _ASSIGNMENT.match(word)]
    for name in names:
        if name in _AROUND:
            walk.warn(f"{name} around {_name(program)} is not imported")
    if names and names[0] not in _AROUND:
        return told_condition(names[0])
    return "flock -n" if "flock" in names and _gives_up(around) else None


def _gives_up(words: Sequence[str]) -> bool:
    short = re.compile(r"-[a-z]*[nw]")
    return any(
        short.match(word) or word.startswith(("--nonblock", "--nb", "--wait", "--timeout"))
        for word in words
    )


def _read_inner(walk: _Walk, words: Sequence[str], inner: str) -> None:
    """Read what `sh -c TEXT` and its like run, in a shell of its own."""
    walk.enter()
    if any(_name(word) == "flock" for word in words) and _gives_up(words):
        walk.scope.gate = "flock -n"
    count = len(walk.calls)
    _read(walk, plain(inner))
    walk.leave()
    is_all_triggers = len(walk.calls) > count and all(map(_is_trigger, walk.calls[count:]))
    walk.last = None if is_all_triggers else told_condition(words[0])


def _read_other(walk: _Walk, words: Sequence[str], operator: str) -> None:
    name = _name(words[0])
    assigned = words[1:] if name == "export" else words
    walk.last = name if name in _NO_CONDITIONS else told_condition(words[0])
    if name in ("cd", "pushd"):
        _change_folder(walk.scope, words[1:])
    elif operator == "|" and name in ("echo", "printf", "cat") and len(words) > 1:
        walk.piped = _output(name, words[1:], walk.scope.variables)
    elif _ASSIGNMENT.match(words[0]) and walk.calls and _is_trigger(walk.calls[-1]):
        walk.last = None
        walk.warn(
            "a & without quotes ends the command for the shell:"
            f" {words[0].partition('=')[0]}, and what follows it, was never sent"
        )
    elif assigned and all(_ASSIGNMENT.match(word) for word in assigned):
        walk.last = None
        values = (word.split("=", 1) for word in assigned)
        expanded = {key: _expand(value, walk.scope.variables) for key, value in values}
        walk.scope.variables = {**walk.scope.variables, **expanded}
    elif name == "exit":
        # `cd /srv || exit` guards against a mistake; any other decides on all that follows.
        if walk.condition not in _NO_CONDITIONS:
            walk.scope.gate = walk.condition or name
    elif name == "set" and any(re.match(r"-[a-z]*e", word) for word in words[1:]):
        walk.scope.stops_on_error = True
    elif name not in ("true", ":"):
        where = "after" if walk.calls else "before"
        walk.warn(f"{told_program(words[0])} {where} the call is not imported")


def _change_folder(scope: _Scope, words: Sequence[str]) -> None:
    """Follow a `cd`: without a folder it goes home, with `-` back to where it was before."""
    options = ("-P", "-L", "-e", "--")
    named = next((word for word in words if word not in options), None)
    before = scope.folder
    if named == "-":
        scope.folder = scope.folder_before
    else:
        scope.folder = None if named is None else _joined(before, _expand(named, scope.variables))
    scope.folder_before = before


def _folder_around(scope: _Scope, around: Sequence[str]) -> str | None:
    """Return the folder of a call that `env -C DIR` or `sudo -D DIR` may begin elsewhere."""
    for word, following in pairwise([*around, ""]):
        option, _, value = word.partition("=")
        if option == "--chdir" or (word in ("-C", "-D") and _name(around[0]) in ("env", "sudo")):
            return _joined(scope.folder, _expand(value or following, scope.variables))
    return scope.folder


def told_program(word: str) -> str:
    """Name a program for people; what does not look like one may be a secret, and is not told."""
    name = _name(word)
    return repr(name) if _PROGRAM_NAME.fullmatch(name) else "a command"


def told_condition(word: str) -> str:
    """Name what decides on a call, as `told_program` does."""
    name = _name(word)
    if name in ("[", "[["):
        return "[ … ]"
    return name if _PROGRAM_NAME.fullmatch(name) else "a command"


def _joined(folder: str | None, path: str) -> str:
    is_whole = folder is None or path.startswith(("/", "~"))
    return path if is_whole else f"{folder}/{path}"


def _is_trigger(call: Call) -> bool:
    return any("/dca/trigger" in word for word in call.words)


def _output(
    name: str, words: Sequence[str], variables: Mapping[str, str]
) -> tuple[str | None, str | None]:
    given = [_expand(word, variables) for word in words if word not in ("-n", "-e", "-E", "--")]
    if name == "cat":
        return None, given[0] if given else None
    if name == "printf" and len(given) > 1 and given[0] in ("%s", "%s\\n"):
        given = given[1:]
    return " ".join(given), None


def _without_redirections(words: Sequence[str]) -> tuple[list[str], str | None]:
    kept: list[str] = []
    stdin_file = None
    rest = iter(words)
    for word in rest:
        if not isinstance(word, Operator):
            kept.append(word)
            continue
        target = next(rest, None)
        if word == "<":
            stdin_file = target
    return kept, stdin_file


def _inner_command(words: Sequence[str]) -> str | None:
    """Return what `sh -c TEXT`, `su USER -c TEXT` and `flock FILE -c TEXT` run."""
    taker = next((i for i, word in enumerate(words) if _name(word) in _TAKE_COMMANDS), None)
    if taker is None or any(_name(word) in _PROGRAMS for word in words[:taker]):
        return None
    for index, word in enumerate(words[taker + 1 :], taker + 1):
        if word.startswith("--command="):
            return word.partition("=")[2]
        if re.fullmatch(r"-[a-z]*c|--command", word) and index + 1 < len(words):
            return words[index + 1]
    return None


def _expanded(call: Call, variables: Mapping[str, str]) -> Call:
    words = tuple(_expand(word, variables) for word in call.words)
    stdin = None if call.stdin is None else _expand(call.stdin, variables)
    if any(OUTPUT in text for text in (*words, stdin or "", call.folder or "")):
        raise InvalidInput("it holds the output of another command, which only a shell can make")
    return Call(
        program=call.program,
        words=tuple(map(plain, words)),
        folder=call.folder and plain(call.folder),
        stdin=stdin and plain(stdin),
        stdin_file=call.stdin_file and plain(_expand(call.stdin_file, variables)),
        condition=call.condition,
    )


def _expand(word: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return variables.get(match["braced"] or match["bare"], UNSET + match[0][1:])

    return _REFERENCE.sub(value, word)


def _name(word: str) -> str:
    return word.rpartition("/")[2]
