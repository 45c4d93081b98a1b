"""Ways through the migrations that no operator goes: down, and one step further than there is."""

import shutil
from pathlib import Path

import alembic.command
from alembic.config import Config
from sqlalchemy import Connection

SCRIPTS = Path(__file__).parent.parent.parent / "migrations"

ONE_MORE = '''
"""One step further."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE TABLE further (id INTEGER)")


def downgrade() -> None:
    op.execute("DROP TABLE further")
'''


def downgrade(conn: Connection, revision: str) -> None:
    """Take the schema back to *revision*."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = conn
    alembic.command.downgrade(config, revision)


def scripts_with_one_more(folder: Path) -> Path:
    """Return a copy of the scripts, in *folder*, that knows a newer revision than ours."""
    copy = folder / "migrations"
    if not copy.exists():
        shutil.copytree(SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "versions" / "0002_one_more.py").write_text(ONE_MORE)
    return copy
