"""BodyCache: what is sent again is not read again, within its bounds."""

from scheduler.engine.body_cache import BodyCache
from scheduler.storage import definitions
from scheduler.storage.database import Connection, Database
from tests.make import NINE, make_body

MIB = 1024**2


def store(conn: Connection, number: int, byte_count: int = 1) -> str:
    body = make_body(fingerprint=f"f{number}", byte_count=byte_count)
    definitions.insert_bodies(conn, [body], now=NINE)
    return body.fingerprint


def test_of_many_bodies_those_used_last_are_kept(sqlite_url: str) -> None:
    cache = BodyCache()
    with Database(sqlite_url) as db, db.writing() as conn:
        names = [store(conn, number) for number in range(65)]
        first = [cache.get(conn, name) for name in names[:64]]
        assert cache.get(conn, names[0]) is first[0]
        cache.get(conn, names[64])

        assert cache.get(conn, names[0]) is first[0]
        assert cache.get(conn, names[1]) is not first[1]


def test_a_body_larger_than_the_cache_is_kept_while_it_is_the_last(sqlite_url: str) -> None:
    cache = BodyCache()
    with Database(sqlite_url) as db, db.writing() as conn:
        small, large = store(conn, 1), store(conn, 2, byte_count=65 * MIB)
        read = cache.get(conn, small)
        last = cache.get(conn, large)

        assert cache.get(conn, large) is last
        assert cache.get(conn, small) is not read
