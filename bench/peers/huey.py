"""Huey on SQLite with full durability, in threads; a done job keeps its result."""

import http.client
import json
import sys
import threading
import time

from huey import SqliteHuey

from bench.peers.post import COLLECTORS

WORKERS = 16
HEADERS = {"Authorization": "Bearer token", "Content-Type": "application/json"}


def main(database: str, stub: str, number: int) -> None:
    """Queue *number* jobs and work them off."""
    queue = SqliteHuey(filename=database, fsync=True, journal_mode="wal")
    kept = threading.local()
    done = threading.Semaphore(0)

    @queue.task()
    def trigger(number: int) -> str:
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection(stub.removeprefix("http://"))
        path = f"/dca/trigger?collector=c_{number % COLLECTORS}&queue_next=1"
        kept.connection.request("POST", path, b"[{}]", HEADERS)
        return str(json.loads(kept.connection.getresponse().read())["collection_id"])

    @queue.post_execute()
    def count(*_: object) -> None:
        done.release()

    for one in range(number):
        trigger(one)
    consumer = queue.create_consumer(workers=WORKERS, periodic=False, initial_delay=0.001)
    began = time.perf_counter()
    consumer.start()
    for _ in range(number):
        done.acquire()
    print(json.dumps({"rate": number / (time.perf_counter() - began)}))
    consumer.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
