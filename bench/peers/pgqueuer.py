"""PgQueuer on PostgreSQL through asyncpg; a done job is moved to its log."""

import asyncio
import sys
from datetime import timedelta

import asyncpg
from pgqueuer import AsyncpgDriver, Job, PgQueuer, Queries
from pgqueuer.types import QueueExecutionMode

from bench.peers.post import IN_FLIGHT, post, report, session


async def main(database: str, stub: str, number: int) -> None:
    """Queue *number* jobs and work them off."""
    connection = await asyncpg.connect(database)
    driver = AsyncpgDriver(connection)
    queries = Queries(driver)
    await queries.install()
    await queries.enqueue(
        ["trigger"] * number, [str(one).encode() for one in range(number)], [0] * number
    )
    queue = PgQueuer(driver)
    async with session() as client:

        @queue.entrypoint("trigger", concurrency_limit=IN_FLIGHT)
        async def trigger(job: Job) -> None:
            await post(client, stub, int(job.payload or b"0"))

        await report(
            number,
            lambda: queue.run(
                dequeue_timeout=timedelta(seconds=1),
                batch_size=IN_FLIGHT,
                mode=QueueExecutionMode.drain,
            ),
        )
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
