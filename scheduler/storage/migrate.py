"""The schema's versions: bring a database to the newest one, or say which one it has."""

from functools import cache
from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import ProgrammingError

from scheduler.domain.errors import SchemaError
from scheduler.storage.dialect import lock_schema
from scheduler.storage.tables import metadata

UPGRADE_COMMAND = "dca-scheduler db upgrade"
WITHOUT_ONE = "`dca-scheduler rehearse` shows what the file would do, without a database"


def _scripts_folder() -> Path:
    """Inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts_folder()).replace("%", "%%"))
    return config


def newest_revision() -> str:
    """Return the revision that this program knows as the newest."""
    return _known_revisions(_scripts_folder())[0]


@cache  # they are files, and a server asks for each probe
def _known_revisions(folder: Path) -> tuple[str, frozenset[str]]:
    """Return the newest revision in *folder*, and all of them."""
    scripts = ScriptDirectory.from_config(_config())
    return str(scripts.get_current_head()), frozenset(
        script.revision for script in scripts.walk_revisions()
    )


def current_revision(conn: Connection) -> str | None:
    """Return the revision of the database behind *conn*; None when it is empty."""
    heads = MigrationContext.configure(conn).get_current_heads()
    if len(heads) > 1:
        raise SchemaError(
            f"alembic_version names {len(heads)} versions of the schema, {', '.join(sorted(heads))}"
            ": delete the row that somebody has added"
        )
    return next(iter(heads), None)


def upgrade(conn: Connection) -> tuple[str | None, str]:
    """
    Bring the schema to the newest revision in the transaction of *conn*; return (from, to).

    All or nothing: a kill at any point leaves the old schema whole. Raises
    SchemaError when the schema is newer than this program, or another program's.
    """
    lock_schema(conn)
    before = current_revision(conn)
    _refuse_unknown(before)
    if before is None:
        _refuse_foreign(conn)
    config = _config()
    config.attributes["connection"] = conn
    try:
        alembic.command.upgrade(config, "head")
    except ProgrammingError as error:
        if not _is_for_good(error):
            raise
        reason = str(error.orig).strip().splitlines()[0]
        raise SchemaError(
            f"the schema cannot be brought to {newest_revision()}: {reason}: may this user create"
            " tables in this database, and is it dca-scheduler's own?"
        ) from error
    return before, newest_revision()


def _is_for_good(error: ProgrammingError) -> bool:
    """Tell whether trying again cannot help: a pooler's mix-up of statements goes by itself."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state[:2] in ("42", "3F") and state != "42P05"


def require_current(conn: Connection) -> None:
    """Raise SchemaError, naming the command that mends it, unless the schema is the newest."""
    revision = current_revision(conn)
    _refuse_unknown(revision)
    if revision is None:
        _refuse_foreign(conn)
        raise SchemaError(
            f"the database is empty: run `{UPGRADE_COMMAND}`, then `dca-scheduler apply`;"
            f" `dca-scheduler run` does both unless auto_migrate = false; {WITHOUT_ONE}"
        )
    if revision != newest_revision():
        raise SchemaError(
            f"the database has schema {revision}, this program needs {newest_revision()}:"
            f" run `{UPGRADE_COMMAND}`"
        )


def _refuse_unknown(revision: str | None) -> None:
    _, revisions = _known_revisions(_scripts_folder())
    if revision is not None and revision not in revisions:
        raise SchemaError(
            f"the database has schema {revision}, which is newer than this program:"
            " install the newer dca-scheduler"
        )


def _refuse_foreign(conn: Connection) -> None:
    inspector = inspect(conn)
    names = (*inspector.get_table_names(), *inspector.get_view_names())
    # SQLite takes Runs and runs for the same.
    taken = sorted(name for name in names if name.lower() in metadata.tables)
    if len(taken) == len(metadata.tables):
        raise SchemaError(
            "the database holds the tables of dca-scheduler, and alembic_version, which says of"
            " which version they are, is gone or empty: restore a backup (dca-scheduler db restore)"
        )
    if taken:
        raise SchemaError(
            f"the database holds tables of another program ({', '.join(taken)}):"
            " give dca-scheduler a database of its own"
        )
