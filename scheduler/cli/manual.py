"""`manual`: man pages, completion files and the reference of commands, made of the commands."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Final

import click

from scheduler.cli.completion import completion_script
from scheduler.cli.exit_codes import MEANINGS
from scheduler.cli.lazy import Command
from scheduler.domain.errors import InvalidInput

_NAME: Final = "dca-scheduler"
_COMPLETIONS: Final = {
    "bash": "share/bash-completion/completions/dca-scheduler",
    "zsh": "share/zsh/site-functions/_dca-scheduler",
    "fish": "share/fish/vendor_completions.d/dca-scheduler.fish",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPage:
    """One command as its page has it; *path* is how it is called."""

    path: str
    usage: str
    summary: str
    text: str
    options: tuple[tuple[str, str], ...]
    subcommands: tuple[str, ...]

    @property
    def file(self) -> str:
        """Return the name of its man page."""
        return f"{self.path.replace(' ', '-')}.1"


@click.command("manual", cls=Command)
@click.option(
    "--install",
    "prefix",
    metavar="PREFIX",
    type=click.Path(path_type=Path),
    help="Write man pages and completions below it, such as /usr/local.",
)
@click.pass_context
def manual(context: click.Context, prefix: Path | None) -> None:
    """
    Print the reference of all commands, or install man pages.

    Without an option it is Markdown. With --install, man pages go to share/man/man1, and what
    makes bash, zsh and fish complete commands to where each of them looks; that of before is
    written over.
    """
    pages = list_pages(context.find_root().command)
    if prefix is None:
        click.echo(as_markdown(pages), nl=False)
        return
    files = {f"share/man/man1/{page.file}": as_man_page(page) for page in pages}
    files |= {file: completion_script(context, shell) for shell, file in _COMPLETIONS.items()}
    for name, text in files.items():
        _write(prefix / name, text)
    click.echo(f"{len(files)} files below {prefix}: man dca-scheduler; a new shell completes")


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
    except OSError as error:
        raise InvalidInput(f"{file}: {(error.strerror or str(error)).lower()}") from None


def list_pages(root: click.Command) -> list[CommandPage]:
    """Return a page for each command, the root first; all of them are imported."""
    return list(_pages(root, None, _NAME))


def _pages(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[CommandPage]:
    context = click.Context(command, parent=parent, info_name=name)
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    yield CommandPage(
        path=context.command_path,
        usage=" ".join(command.collect_usage_pieces(context)),
        summary=command.get_short_help_str(200),
        text=_paragraphs(command.help or ""),
        options=tuple(_options(command, context)),
        subcommands=tuple(names),
    )
    if isinstance(command, click.Group):
        for child in names:
            found = command.get_command(context, child)
            if found is not None:
                yield from _pages(found, context, child)


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    records = (one.get_help_record(context) for one in command.get_params(context))
    return (record for record in records if record is not None)


def _paragraphs(help: str) -> str:
    """Return a command's text, without what click's own pages leave out."""
    return cleandoc(help).partition("\f")[0].strip()


def as_markdown(pages: Iterable[CommandPage]) -> str:
    """Return the reference, a section each."""
    parts = ["# Commands\n"]
    for page in pages:
        parts.append(f"## `{page.path}`\n\n```text\n{page.path} {page.usage}\n```\n")
        parts += [_markdown_text(page.text)]
        if page.options:
            rows = [f"| `{_cell(name)}` | {_cell(help)} |" for name, help in page.options]
            parts.append("\n".join(["| option | |", "| --- | --- |", *rows]) + "\n")
    codes = [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    parts.append("\n".join(["## Exit codes\n", "| code | |", "| ---: | --- |", *codes]) + "\n")
    return "\n".join(parts)


def _markdown_text(text: str) -> str:
    return (
        "\n\n".join(
            f"```text\n{part.removeprefix(chr(8)).strip(chr(10))}\n```"
            if part.startswith("\b")
            else _escaped(part)
            for part in re.split(r"\n\s*\n", text)
        )
        + "\n"
    )


def _escaped(text: str) -> str:
    return re.sub(r"([<>*_{}\[\]])", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def as_man_page(page: CommandPage) -> str:
    """Return a page in the language of man(7)."""
    name = page.path.replace(" ", "-")
    lines = [
        f'.TH "{name.upper()}" 1 "" "dca-scheduler" ""',
        ".SH NAME",
        _roff(f"{name} - {page.summary or 'fire Data Collector API triggers on schedules'}"),
        ".SH SYNOPSIS",
        rf"\fB{_roff(page.path)}\fR {_roff(page.usage)}",
        ".SH DESCRIPTION",
    ]
    for part in re.split(r"\n\s*\n", page.text):
        if part.startswith("\b"):
            kept = part.removeprefix("\b").strip("\n").splitlines()
            lines += [".PP", ".nf", *map(_roff, kept), ".fi"]
        else:
            lines += [".PP", _roff(" ".join(part.split()))]
    lines += [".SH OPTIONS"]
    for option, help in page.options:
        lines += [".TP", rf"\fB{_roff(option)}\fR", _roff(" ".join(help.split()))]
    if page.subcommands:
        lines += [".SH COMMANDS"]
        lines += [_roff(", ".join(f"{name}-{one}(1)" for one in page.subcommands))]
    if " " not in page.path:
        lines += [".SH EXIT STATUS"]
        for code, meaning in MEANINGS.items():
            lines += [".TP", str(code.value), _roff(meaning)]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Return *text* so that man(7) takes none of it for a request of its own."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
