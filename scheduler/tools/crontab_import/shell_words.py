"""
A shell command as words and operators, its quotes taken off as the shell does; nothing is run.

Signs of the private use area tell apart what the text of a word cannot: see below.
"""

import re
import shlex
from collections.abc import Iterator
from typing import Final

from scheduler.domain.errors import InvalidInput

LITERAL_DOLLAR: Final = "\ue000"
"""A dollar that quotes protect: the shell leaves it alone."""
LITERAL_BACKTICK: Final = "\ue001"
"""The same of a backtick."""
OUTPUT: Final = "\ue002"
"""What only a shell can fill in: the output of a command, an argument, a computed value."""

_OPERATORS: Final = re.compile(r"&>>|<<<|&&|\|\||\|&|&>|>>|>&|<&|;;|<<|[<>|&;()]")
_DATE: Final = re.compile(r"(?:\S*/)?date(?:\s+|\Z)")
_REFERENCE: Final = re.compile(r"\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)")
_ONLY_A_SHELL: Final = re.compile(r"\$(?:\{[^}]*\}|[0-9?$#@*!-])")
_LONG_DIRECTIVES: Final = {"%F": "%Y-%m-%d", "%T": "%H:%M:%S", "%R": "%H:%M", "%D": "%m/%d/%y"}
_TO_LITERAL: Final = str.maketrans({"$": LITERAL_DOLLAR, "`": LITERAL_BACKTICK})
_TO_PLAIN: Final = str.maketrans({LITERAL_DOLLAR: "$", LITERAL_BACKTICK: "`"})


class Operator(str):
    """A sign of the shell's own, which no quotes protect."""

    __slots__ = ()


def literal(text: str) -> str:
    """Return *text* as a shell's word in which nothing is to be filled in."""
    return text.translate(_TO_LITERAL)


def plain(text: str) -> str:
    """Return *text* with what quotes protected as it was written."""
    return text.translate(_TO_PLAIN)


def split_words(text: str) -> Iterator[str]:
    """
    Yield the words and the operators of a command; raises InvalidInput where no shell reads it.

    `$(date +FORMAT)` becomes `{due_at:FORMAT}`; variables stay as they are written.
    """
    lexer = _Lexer(text)
    while lexer.position < len(text):
        yield from lexer.step()
    yield from lexer.end_word()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.word: list[str] | None = None

    def step(self) -> Iterator[str]:
        """Read one sign, or what it begins."""
        sign = self.text[self.position]
        if sign in " \t\r":
            self.position += 1
            yield from self.end_word()
        elif sign == "\n":
            self.position += 1
            yield from self.end_word()
            yield Operator(";")
        elif sign == "#" and self.word is None:
            end = self.text.find("\n", self.position)
            self.position = len(self.text) if end < 0 else end
        elif operator := _OPERATORS.match(self.text, self.position):
            self.position = operator.end()
            # A number before a redirection is no word: 2>&1
            if operator[0][0] in "<>" and self.word is not None and "".join(self.word).isdigit():
                self.word = None
            yield from self.end_word()
            yield Operator(operator[0])
        else:
            piece = self.piece(sign)
            self.word = self.word or []
            self.word.append(piece)

    def end_word(self) -> Iterator[str]:
        """Yield the word that ends here, if one does."""
        if self.word is not None:
            yield "".join(self.word)
        self.word = None

    def piece(self, sign: str) -> str:
        """Read a part of a word: what stands in quotes, a reference, or one sign."""
        match sign:
            case "'":
                return literal(self.until("'"))
            case '"':
                return self.in_double_quotes()
            case "\\":
                self.position += 2
                escaped = self.text[self.position - 1 : self.position]
                return "" if escaped == "\n" else literal(escaped)
            case "$" if self.text.startswith("$'", self.position):
                raise InvalidInput("it quotes with $'…': write the text in plain quotes")
            case "$" | "`":
                return self.filled_in()
            case _:
                self.position += 1
                return sign

    def until(self, quote: str) -> str:
        """Return what stands before the next *quote*, and go behind it."""
        start = self.position + 1
        end = self.text.find(quote, start)
        if end < 0:
            raise InvalidInput("a shell could not read it: no closing quotation")
        self.position = end + 1
        return self.text[start:end]

    def in_double_quotes(self) -> str:
        """Return what stands in double quotes, in which references are filled in."""
        self.position += 1
        pieces: list[str] = []
        while (sign := self.text[self.position : self.position + 1]) != '"':
            if not sign:
                raise InvalidInput("a shell could not read it: no closing quotation")
            if sign == "\\" and self.text[self.position + 1 : self.position + 2] in tuple('$`"\\'):
                pieces.append(literal(self.text[self.position + 1]))
                self.position += 2
            elif sign in "$`":
                pieces.append(self.filled_in())
            else:
                pieces.append(sign)
                self.position += 1
        self.position += 1
        return "".join(pieces)

    def filled_in(self) -> str:
        """Read what a `$` or a backtick begins."""
        if self.text[self.position] == "`":
            return _output_of(self.until("`"))
        if self.text.startswith("$(", self.position):
            return _output_of(self.in_parentheses())
        for pattern in (_REFERENCE, _ONLY_A_SHELL):
            if match := pattern.match(self.text, self.position):
                self.position = match.end()
                return match[0] if pattern is _REFERENCE else OUTPUT
        self.position += 1
        return LITERAL_DOLLAR

    def in_parentheses(self) -> str:
        """Return the command of `$(…)`, and go behind it."""
        start = self.position = self.position + 2
        depth = 1
        while depth:
            sign = self.text[self.position : self.position + 1]
            if not sign:
                raise InvalidInput("a shell could not read it: no closing parenthesis")
            if sign in "'\"":
                self.until(sign)
                continue
            depth += (sign == "(") - (sign == ")")
            self.position += 1
        return self.text[start : self.position - 1]


def _output_of(command: str) -> str:
    """Return what stands for the output of *command*: a due time for today's date."""
    command = command.strip()
    if not _DATE.match(command):
        return OUTPUT
    try:
        words = shlex.split(command)[1:]
    except ValueError:
        return OUTPUT
    if len(words) != 1 or not words[0].startswith("+"):
        return OUTPUT
    directives = words[0][1:]
    for short, long in _LONG_DIRECTIVES.items():
        directives = directives.replace(short, long)
    return f"{{due_at:{directives}}}"
