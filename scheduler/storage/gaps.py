"""What somebody has taken out of the newest schema by hand, or switched off in it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table, create_mock_engine
from sqlalchemy.schema import CreateIndex, CreateTable

from scheduler.domain.errors import DatabaseUnfit
from scheduler.storage.tables import metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """
    What is missing, with the way out.

    Where *rows_are_lost* nothing else can be looked at; with one that *only_slows* a daemon works.
    """

    sentence: str
    rows_are_lost: bool = False
    only_slows: bool = False


def require_whole(conn: Connection) -> list[str]:
    """Raise DatabaseUnfit where what the promise rests on is gone; return what only slows."""
    gaps = list_gaps(conn)
    if refusals := [gap.sentence for gap in gaps if not gap.only_slows]:
        raise DatabaseUnfit("; ".join(refusals))
    return [gap.sentence for gap in gaps]


def list_gaps(conn: Connection) -> list[Gap]:
    """Compare the catalog of a database of the newest schema with what is to be in it."""
    found = set(conn.exec_driver_sql(_CATALOG[conn.dialect.name]).scalars())
    lost = [name for name in _list_holders() if name not in found]
    if lost:
        tables = [name for name in lost if name.startswith("table ")]
        sentence = f"{_lacks(tables or lost)}: restore a backup (dca-scheduler db restore)"
        return [Gap(sentence=sentence, rows_are_lost=True)]
    gone = {name: is_rule for name, is_rule in list_made(conn) if name not in found}
    rules = [name for name, is_rule in gone.items() if is_rule]
    return [*_dropped(rules, [name for name in gone if not gone[name]]), *_disabled(conn)]


def _dropped(rules: Sequence[str], helps: Sequence[str]) -> Iterator[Gap]:
    way_out = "dca-scheduler db copy makes a new database that is whole"
    if rules:
        yield Gap(sentence=f"{_lacks(rules)}, and what is promised rests on it: {way_out}")
    if helps:
        yield Gap(sentence=f"{_lacks(helps)}, and is slow: {way_out}", only_slows=True)


def _disabled(conn: Connection) -> Iterator[Gap]:
    if conn.dialect.name != "postgresql":
        return
    for table in conn.exec_driver_sql(_DISABLED).scalars():
        yield Gap(
            sentence=f"triggers of {table} are disabled, and what is promised rests on them:"
            f" ALTER TABLE {table} ENABLE TRIGGER ALL"
        )


def _lacks(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else ""
    return f"the schema lacks {', '.join(names[:_MOST_TOLD])}{more}"


_MOST_TOLD: Final = 10


def _list_holders() -> Iterator[str]:
    for table in metadata.sorted_tables:
        yield f"table {table.name}"
        yield from (f"column {table.name}.{column.name}" for column in table.columns)


def list_made(conn: Connection) -> Iterator[tuple[str, bool]]:
    """Yield what a new database has beside its rows, and whether it is a rule: or only helps."""
    steps: list[object] = []
    engine = create_mock_engine(conn.engine.url, lambda step, *_, **__: steps.append(step))
    metadata.create_all(engine, checkfirst=False)
    for step in steps:
        if isinstance(step, CreateIndex):
            yield f"index {step.element.name}", bool(step.element.unique)
        elif isinstance(step, CreateTable) and conn.dialect.name == "postgresql":
            # SQLite drops neither without the table.
            made = str(step.compile(dialect=conn.dialect))
            yield from ((f"constraint {name}", True) for name in _CONSTRAINT.findall(made))
            yield from ((f"default {name}", True) for name in _list_defaults(step.element))
    for table, *names in map(str.split, _TRIGGERS[conn.dialect.name].strip().splitlines()):
        yield from ((f"trigger {table}_{name}", True) for name in names)


_CONSTRAINT: Final = re.compile(r"CONSTRAINT (\w+)")


def _list_defaults(table: Table) -> Iterator[str]:
    numbered = table.autoincrement_column
    for column in table.columns:
        if column is numbered or column.server_default is not None:
            yield f"{table.name}.{column.name}"


_CATALOG: Final = {
    "sqlite": """
        SELECT type || ' ' || name FROM sqlite_master
        UNION ALL SELECT 'column ' || made.name || '.' || has.name
        FROM sqlite_master AS made, pragma_table_xinfo(made.name) AS has WHERE made.type = 'table'
    """,
    "postgresql": """
        WITH ours AS (SELECT * FROM pg_class WHERE relkind = 'r' AND pg_table_is_visible(oid))
        SELECT 'table ' || relname FROM ours
        UNION ALL SELECT 'column ' || relname || '.' || attname
        FROM ours JOIN pg_attribute ON attrelid = ours.oid AND NOT attisdropped
        UNION ALL SELECT 'default ' || relname || '.' || attname
        FROM ours JOIN pg_attribute ON attrelid = ours.oid AND (atthasdef OR attidentity <> '')
        UNION ALL SELECT 'index ' || made.relname
        FROM ours JOIN pg_index ON indrelid = ours.oid AND indisvalid
        JOIN pg_class AS made ON made.oid = indexrelid
        UNION ALL SELECT 'constraint ' || conname
        FROM ours JOIN pg_constraint ON conrelid = ours.oid AND convalidated
        UNION ALL SELECT 'trigger ' || tgname FROM ours JOIN pg_trigger ON tgrelid = ours.oid
    """,
}
_DISABLED: Final = """
    SELECT DISTINCT relname FROM pg_trigger JOIN pg_class AS ours ON tgrelid = ours.oid
    WHERE tgenabled IN ('D', 'R') AND pg_table_is_visible(ours.oid) ORDER BY relname
"""

_TRIGGERS: Final = {
    "sqlite": """
        accounts edited_by_sql edited_texts gone_by_sql named_edited named_gone named_new
        accounts new_by_sql new_texts
        batches canary_edited ceilings_edited edited_by_sql edited_texts gone_by_sql
        batches named_edited named_gone named_new new_by_sql new_texts
        bodies gone held
        brakes held_edited held_gone held_new
        budgets edited_by_sql gone_by_sql new_by_sql
        calendars edited_by_sql edited_texts gone_by_sql named_edited named_gone named_new
        calendars new_by_sql new_texts
        collections edited_times
        collectors edited_by_sql edited_texts gone_by_sql interval_edited named_edited
        collectors named_gone named_new new_by_sql new_texts results_edited
        freezes edited_by_sql edited_texts edited_times gone_by_sql held_edited held_gone
        freezes held_new new_by_sql new_texts new_times
        overrides edited_by_sql edited_texts edited_times gone_by_sql named_edited named_gone
        overrides named_new new_by_sql new_texts new_times
        queues edited_by_sql edited_texts edited_times gone_by_sql held_edited held_gone
        queues held_new new_by_sql new_texts new_times
        run_events changed held
        runs created edited_leases edited_times gone held move_refused moved moved_by_sql
        schedules checked edited edited_by_sql edited_marks edited_texts edited_times
        schedules gone_by_sql held_edited held_gone held_new interval_checked moved named_edited
        schedules named_gone named_new new_by_sql new_marks new_texts new_times results_checked
        schedules retry_checked
    """,
    "postgresql": """
        accounts by_sql
        batches by_sql canary_edited ceilings_edited named_edited
        bodies gone
        brakes held_edited held_gone held_new
        budgets by_sql
        calendars by_sql named_edited named_gone named_new
        collections times
        collectors by_sql interval_edited named_edited results_edited
        freezes by_sql held_edited held_gone held_new times
        overrides by_sql named_edited named_gone named_new times
        queues by_sql held_edited held_gone held_new times
        run_events changed held
        runs created gone leases moved times
        schedules by_sql checked edited held_edited held_gone held_new interval_checked marks
        schedules moved named_edited named_gone named_new results_checked retry_checked times
    """,
}
"""By table, whose name their own begin with."""
