"""Procrastinate on PostgreSQL through psycopg; a done job keeps its row, succeeded."""

import asyncio
import sys

from procrastinate import App, PsycopgConnector

from bench.peers.post import IN_FLIGHT, post, report, session


async def main(database: str, stub: str, number: int) -> None:
    """Queue *number* jobs and work them off."""
    app = App(connector=PsycopgConnector(conninfo=database))
    async with app.open_async(), session() as client:
        await app.schema_manager.apply_schema_async()

        @app.task(name="trigger")
        async def trigger(number: int) -> None:
            await post(client, stub, number)

        await trigger.batch_defer_async(*({"number": one} for one in range(number)))
        await report(
            number,
            lambda: app.run_worker_async(
                wait=False, concurrency=IN_FLIGHT, install_signal_handlers=False
            ),
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
