"""What a row holds is printed by one door, so that a terminal obeys none of it."""

import ast
from pathlib import Path

from tests.surfaces.rig import FAILED, Home

CLI = Path(__file__).parents[2] / "scheduler" / "cli"
EVIL = "a\x1b]52;c;RVZJTA==\x07\u202eb"

DOCUMENTS = {
    ("collectors.py", "found.text"),
    ("export.py", "_without_password(found.text)"),
    ("import_crontab.py", "imported.text"),
    ("main.py", "json.dumps({'error': error}, indent=2)"),
    ("main.py", "output.unwritten"),
    ("main.py", "f'{priority}error: {one_line(problem)}'"),
    ("metrics.py", "content.decode()"),
    ("run_resolve.py", "_became(act, run, is_dry_run=dry_run)"),
    ("run_resolve.py", "f'left out: {count} {why}'"),
    ("tokens.py", "made.token"),
    ("trigger.py", "command"),
    ("trigger.py", "run.id"),
}
"""What is printed as it stands: each is escaped by what makes it, or is no text of a row."""

OUTSIDE = {
    *("audit.py", "completion.py", "demo.py", "manual.py", "progress.py", "rehearse.py"),
    *("render.py", "run_inputs.py", "systemd_unit.py"),
}
"""These print what the program itself knows, or are the door."""


def test_all_that_is_printed_goes_through_the_door() -> None:
    others = {
        (file.name, ast.unparse(call.args[0]))
        for file in CLI.glob("*.py")
        if file.name not in OUTSIDE
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("click.echo", "click.secho", "print")
        and call.args
        and not isinstance(call.args[0], ast.Constant)
        and not ast.unparse(call.args[0]).startswith("one_line(")  # the door itself
    }

    assert others == DOCUMENTS


def test_names_and_values_of_rows_are_shown_and_not_obeyed(home: Home) -> None:
    home.sql("UPDATE collectors SET name = ? WHERE name = 'products'", EVIL)
    home.sql("UPDATE schedules SET name = ? WHERE name = 'hourly'", EVIL)
    home.make_run(ask=EVIL, **FAILED | {"schedule": EVIL})
    seen = [
        home.call(*words.split())
        for words in (
            "plan", "drift", "apply --dry-run --prune", "apply --prune", "schedules list",
            "runs retry --state failed --dry-run", "status", "doctor", "clock reset", "thaw all",
        )
    ]  # fmt: skip

    said = "".join(answer.out + answer.err for answer in seen)
    assert "\ufffd" in said
    assert [sign for sign in "\x1b\x07\u202e" if sign in said] == []
