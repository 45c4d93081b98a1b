"""Run the migrations on the connection that storage.migrate hands over, or on alembic.ini's."""

from alembic import context
from sqlalchemy import Connection, create_engine, event

from scheduler.storage.tables import metadata

config = context.config


def run_on(connection: Connection) -> None:
    """Run what is pending in one transaction, so that a kill in the middle leaves none of it."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


handed_over: Connection | None = config.attributes.get("connection")
if handed_over is not None:
    run_on(handed_over)
else:
    engine = create_engine(config.get_main_option("sqlalchemy.url", ""))

    @event.listens_for(engine, "connect")
    def on_connect(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # sqlite3's, see storage.dialect

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        run_on(connection)
