"""What revisions of the schema share. What one that was released calls keeps doing the same."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op


def is_sqlite() -> bool:
    """Tell whether the database that is migrated is SQLite."""
    return op.get_bind().dialect.name == "sqlite"


def rewrite_table(table: str, old: str, new: str) -> None:
    """
    Change the text of an SQLite table, in the way that its manual shows for what changes no row.

    A copy of the table would lose its triggers, and take as long as the history is long.
    """
    op.execute("PRAGMA writable_schema = ON")
    op.get_bind().execute(
        sa.text(
            "UPDATE sqlite_master SET sql = replace(sql, :old, :new)"
            " WHERE type = 'table' AND name = :name"
        ),
        {"old": old, "new": new, "name": table},
    )
    op.execute("PRAGMA writable_schema = RESET")


def rename_column(table: str, old: str, new: str) -> None:
    """Rename a column; conditions, indexes and SQLite's triggers follow it."""
    quoted = op.get_bind().dialect.identifier_preparer.quote
    op.execute(f"ALTER TABLE {table} RENAME COLUMN {quoted(old)} TO {quoted(new)}")
    if is_sqlite():
        return
    # From PostgreSQL 18 on, NOT NULL has a name as well, after its column.
    query = "SELECT count(*) FROM pg_constraint WHERE contype = 'n' AND conname = :name"
    before, after = (f"{table}_{column}_not_null" for column in (old, new))
    if op.get_bind().scalar(sa.text(query), {"name": before}):
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {before} TO {after}")


def rename_index(old: str, new: str) -> None:
    """Rename an index; SQLite makes it anew."""
    if not is_sqlite():
        op.execute(f"ALTER INDEX {old} RENAME TO {new}")
        return
    query = sa.text("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = :name")
    statement = op.get_bind().scalar(query, {"name": old})
    op.execute(f"DROP INDEX {old}")
    op.execute(str(statement).replace(old, new, 1))


def rewrite_function(name: str, old: str, new: str) -> None:
    """Change the text of a trigger's function on PostgreSQL, which keeps the names of columns."""
    query = sa.text("SELECT pg_get_functiondef(CAST(:name AS regproc))")
    statement = str(op.get_bind().scalar(query, {"name": name}))
    op.get_bind().exec_driver_sql(statement.replace(old, new).replace("%", "%%"))


def add_reasons(*reasons: str, before: str) -> None:
    """Let runs have *reasons*; they stand in the list *before* one that is there."""
    _replace_in_reasons(f"'{before}'", _listed(reasons, before))


def drop_reasons(*reasons: str, before: str, instead: str) -> None:
    """Take *reasons* out again; runs that have one get the one *instead*."""
    for reason in reasons:
        op.get_bind().execute(
            sa.text("UPDATE runs SET reason = :instead WHERE reason = :reason"),
            {"instead": instead, "reason": reason},
        )
    _replace_in_reasons(_listed(reasons, before), f"'{before}'")


def _listed(reasons: tuple[str, ...], before: str) -> str:
    return ", ".join(f"'{reason}'" for reason in (*reasons, before))


def _replace_in_reasons(old: str, new: str) -> None:
    if is_sqlite():
        rewrite_table("runs", old, new)
        return
    query = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_runs_reason'"
    check = str(op.get_bind().scalar(sa.text(query)))
    old, new = (text.replace("',", "'::text,") + "::text" for text in (old, new))
    op.execute("ALTER TABLE runs DROP CONSTRAINT ck_runs_reason")
    op.execute(f"ALTER TABLE runs ADD CONSTRAINT ck_runs_reason {check.replace(old, new)}")


def check_edits_of(column: str) -> None:
    """Have an edit of a schedule's *column*, which may be wrong, checked by the next pass."""
    condition = _DIFFERS[is_sqlite()].format(column=column)
    _rewrite_check(
        ("UPDATE OF ", f"UPDATE OF {column}, "),
        (_WHEN[is_sqlite()], f"{_WHEN[is_sqlite()]}{condition}"),
    )


def check_no_edits_of(column: str) -> None:
    """Undo `check_edits_of`: SQLite drops no column that a trigger names."""
    condition = _DIFFERS[is_sqlite()].format(column=column)
    _rewrite_check((f"{column}, ", ""), (condition, ""))


_WHEN = {True: "WHEN ", False: "WHEN ("}
_DIFFERS = {
    True: "OLD.{column} IS NOT NEW.{column} OR ",
    False: "(old.{column} IS DISTINCT FROM new.{column}) OR ",
}


def _rewrite_check(*changes: tuple[str, str]) -> None:
    query = (
        "SELECT sql FROM sqlite_master WHERE name = 'schedules_checked'"
        if is_sqlite()
        else "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'schedules_checked'"
        " AND tgrelid = 'schedules'::regclass"
    )
    statement = str(op.get_bind().scalar(sa.text(query)))
    for old, new in changes:
        statement = statement.replace(old, new, 1)
    op.execute("DROP TRIGGER schedules_checked" + ("" if is_sqlite() else " ON schedules"))
    op.get_bind().exec_driver_sql(statement)


_KEPT_BY_THE_PROGRAM = (
    *("id", "edits", "defined_in", "created_at", "edited_at"),
    *("planned_at", "fired_until", "next_fire_at", "error"),
)
"""Columns of a definition whose edits are nobody's edit of it."""

_LONG = ("inputs", "notify", "deliver")
"""Columns that may hold a credential, or very much: only their length is kept."""

_MOMENTS = ("paused_at", "paused_until", "frozen_at", "made_at", "until")
_NAMED = {"freezes": "{row}.scope", "overrides": "{row}.schedule || '.' || {row}.field"}
"""What a row goes by in `changes`, where it has no name."""

_MOST_CHARACTERS = 500


def audit_edits(table: str) -> None:
    """
    Let the database note in `changes` what a client that is none of ours edits in *table*.

    Our own statements count `edits`; who does not is told as `sql`, on PostgreSQL with the role.
    For the columns that the table has now: a revision that adds one to it asks for this again.
    """
    forget_edits(table)
    if is_sqlite():
        _audit_on_sqlite(table)
        return
    op.execute(_NOTE_EDIT)
    usual = {column["name"]: _usual(column) for column in _columns(table)}
    edited = ", ".join(f'"{name}"' for name in (*usual, "edits"))
    op.get_bind().exec_driver_sql(
        f"CREATE TRIGGER {table}_by_sql AFTER INSERT OR UPDATE OF {edited} OR DELETE ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION note_edit('{json.dumps(usual)}')"
    )


def forget_edits(table: str) -> None:
    """Note no more edits of *table*: SQLite drops no column that a trigger names."""
    if not is_sqlite():
        op.execute(f"DROP TRIGGER IF EXISTS {table}_by_sql ON {table}")
        return
    for what in ("new", "edited", "gone"):
        op.execute(f"DROP TRIGGER IF EXISTS {table}_{what}_by_sql")


def _columns(table: str) -> list[dict[str, Any]]:
    """Return what people edit of *table*, as the database describes it now."""
    columns = sa.inspect(op.get_bind()).get_columns(table)
    return [dict(one) for one in columns if one["name"] not in _KEPT_BY_THE_PROGRAM]


def _usual(column: dict[str, Any]) -> str | None:
    """Return the text of what a column holds if nobody says otherwise."""
    written = column["default"]
    return None if written is None else str(written).partition("::")[0].strip("'")


_NOTE_EDIT = f"""
CREATE OR REPLACE FUNCTION note_edit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
DECLARE
    usual jsonb := TG_ARGV[0];
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    this jsonb := coalesce(old_row, new_row);
    told jsonb;
BEGIN
    IF TG_OP = 'INSERT' AND (new_row ->> 'edits')::int > 0
        OR TG_OP = 'DELETE' AND (old_row ->> 'edits')::int < 0
        OR TG_OP = 'UPDATE' AND new_row -> 'edits' <> old_row -> 'edits'
    THEN
        RETURN NULL;
    END IF;
    SELECT jsonb_object_agg(key, jsonb_build_array(
        CASE WHEN hidden THEN to_jsonb('(' || length(old_row ->> key) || ' characters)')
            ELSE old_row -> key END,
        CASE WHEN hidden THEN to_jsonb('(' || length(new_row ->> key) || ' characters)')
            ELSE new_row -> key END))
    INTO told
    FROM (
        SELECT key, key IN {_LONG!r}
            OR key = 'base_url' AND concat(old_row ->> key, new_row ->> key) LIKE '%@%'
            OR greatest(length(old_row ->> key), length(new_row ->> key)) > {_MOST_CHARACTERS}
            AS hidden
        FROM jsonb_object_keys(usual) AS key
        WHERE coalesce(old_row, usual) ->> key IS DISTINCT FROM new_row ->> key
    ) AS edited
    WHERE TG_OP <> 'DELETE';
    IF TG_OP <> 'UPDATE' OR told IS NOT NULL THEN
        INSERT INTO changes (happened_at, by, action, subject, detail)
        VALUES (clock_timestamp(), 'sql (' || session_user || ')', lower(TG_OP),
            TG_TABLE_NAME || '.' || coalesce(this ->> 'name', this ->> 'scope',
                (this ->> 'schedule') || '.' || (this ->> 'field')), told::text);
    END IF;
    RETURN NULL;
END $$
"""


def _audit_on_sqlite(table: str) -> None:
    columns = _columns(table)
    names = ", ".join(column["name"] for column in columns)
    edited = " UNION ALL ".join(_edited_on_sqlite(column) for column in columns)
    made = " UNION ALL ".join(_made_on_sqlite(column) for column in columns)
    is_edited = " OR ".join(_differs_on_sqlite(column) for column in columns)
    for what, event, condition, row, detail in (
        ("new", "INSERT", "NEW.edits = 0", "NEW", made),
        ("edited", f"UPDATE OF {names}", f"NEW.edits = OLD.edits AND ({is_edited})", "OLD", edited),
        ("gone", "DELETE", "OLD.edits >= 0", "OLD", None),
    ):
        name = _NAMED.get(table, "{row}.name").format(row=row)
        told = "NULL" if detail is None else _JOINED.format(rows=detail)
        op.get_bind().exec_driver_sql(
            f"CREATE TRIGGER {table}_{what}_by_sql AFTER {event} ON {table} WHEN {condition}"
            " BEGIN INSERT INTO changes (happened_at, by, action, subject, detail)"
            " VALUES (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000', 'sql',"
            f" '{event.split()[0].lower()}', '{table}.' || {name}, {told}); END"
        )


_JOINED = (
    "(SELECT '{{' || group_concat('\"' || name || '\": [' || b || ', ' || a || ']', ', ') || '}}'"
    " FROM ({rows}))"
)


def _edited_on_sqlite(column: dict[str, Any]) -> str:
    old, new = _shown_on_sqlite(column, "OLD"), _shown_on_sqlite(column, "NEW")
    differs = _differs_on_sqlite(column)
    return f"SELECT '{column['name']}' AS name, {old} AS b, {new} AS a WHERE {differs}"


def _made_on_sqlite(column: dict[str, Any]) -> str:
    name, new = column["name"], _shown_on_sqlite(column, "NEW")
    usual = column["default"] or "NULL"
    return f"SELECT '{name}' AS name, 'null' AS b, {new} AS a WHERE NEW.{name} IS NOT {usual}"


def _differs_on_sqlite(column: dict[str, Any]) -> str:
    """Return what tells an edit: a trigger rewrites moments, which is none."""
    form = "julianday({})" if column["name"] in _MOMENTS else "{}"
    old, new = (form.format(f"{row}.{column['name']}") for row in ("OLD", "NEW"))
    return f"{old} IS NOT {new}"


def _shown_on_sqlite(column: dict[str, Any], row: str) -> str:
    """Return what makes JSON of a value; our connections let triggers call no JSON functions."""
    name = column["name"]
    value = f"{row}.{name}"
    length = f"'(' || length({value}) || ' characters)'"
    if isinstance(column["type"], sa.Boolean):
        return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
    if name in _MOMENTS:
        return _quoted(f"strftime('%Y-%m-%dT%H:%M:%SZ', {value})")
    if not isinstance(column["type"], sa.Text):
        return f"coalesce({value}, 'null')"
    if name in _LONG:
        return _quoted(length)
    is_hidden = f"length({value}) > {_MOST_CHARACTERS}"
    is_hidden += f" OR {value} LIKE '%@%'" if name == "base_url" else ""
    return _quoted(f"CASE WHEN {is_hidden} THEN {length} ELSE CAST({value} AS TEXT) END")


def _quoted(text: str) -> str:
    r"""Return what makes a JSON string of a text; control characters stay, but for line ends."""
    for sign, escaped in (("'\\'", "'\\\\'"), ("'\"'", "'\\\"'"), ("char(10)", "'\\n'")):
        text = f"replace({text}, {sign}, {escaped})"
    return f"""coalesce('"' || {text} || '"', 'null')"""
