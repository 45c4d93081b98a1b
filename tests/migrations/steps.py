"""Ways through the migrations that no operator goes: down, and one step further than there is."""

import shutil
from pathlib import Path

import alembic.command
from alembic.config import Config
from sqlalchemy import Connection

from scheduler.storage import migrate

SCRIPTS = Path(__file__).parent.parent.parent / "migrations"

ONE_MORE = '''
"""One step further."""

from alembic import op

revision = "one_more"
down_revision = "{newest}"


def upgrade() -> None:
    op.execute("CREATE TABLE further (id INTEGER)")


def downgrade() -> None:
    op.execute("DROP TABLE further")
'''


def downgrade(conn: Connection, revision: str) -> None:
    """Take the schema back to *revision*."""
    alembic.command.downgrade(_config(conn), revision)


def upgrade_to(conn: Connection, revision: str) -> None:
    """Bring an empty database to *revision*, as an older program left it."""
    alembic.command.upgrade(_config(conn), revision)


def _config(conn: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = conn
    return config


def scripts_with_one_more(folder: Path) -> Path:
    """Return a copy of the scripts, in *folder*, that knows a newer revision than ours."""
    copy = folder / "migrations"
    if not copy.exists():
        shutil.copytree(SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        one_more = ONE_MORE.replace("{newest}", migrate.newest_revision())
        (copy / "versions" / "one_more.py").write_text(one_more)
    return copy
