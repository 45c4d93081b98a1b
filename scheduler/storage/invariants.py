"""
What must always hold, as SQL that returns no row.

Read only, and safe beside running daemons: each query sees one moment. docs/promise.md tells what
each rests on. The judge above them is the upstream's own log, which no database can replace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from scheduler.storage.dialect import in_a_minute, seconds_between


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A rule, and the query that finds what breaks it; `{age}` in seconds, `{now}` the time."""

    name: str
    sentence: str
    sql: str


INVARIANTS: Final = (
    Invariant(
        name="one_run_per_occurrence",
        sentence="an occurrence of a schedule has one run, or one for each of its chunks",
        sql="""
            SELECT schedule, due_at FROM runs
            WHERE schedule IS NOT NULL AND retry_of IS NULL
            GROUP BY schedule, due_at
            HAVING count(*) <> max(chunks) OR count(DISTINCT chunk) <> max(chunks)
                OR min(chunks) <> max(chunks) OR max(chunk) <> max(chunks)
        """,
    ),
    Invariant(
        name="nothing_decided_above_the_mark",
        sentence="no run of a schedule is due later than the mark up to which it is decided",
        sql="""
            SELECT runs.id AS run, schedules.name AS schedule FROM runs
            JOIN schedules ON schedules.name = runs.schedule
            WHERE runs.retry_of IS NULL
              -- A schedule of this name that is gone may have been decided further.
              AND runs.created_at >= schedules.created_at
              -- What a person asked for stands beside the timetable; it is never too late.
              AND runs.send_before IS NOT NULL
              -- What a clock that was ahead has sent keeps its run when the mark is set back.
              AND runs.created_at <= {now}
              AND (schedules.fired_until IS NULL
                   OR coalesce(runs.due_until, runs.due_at) > schedules.fired_until)
        """,
    ),
    Invariant(
        name="one_unresolved_per_order_key",
        sentence="of an order key, at most one run is on the wire or unconfirmed",
        sql="""
            SELECT order_key FROM runs
            WHERE order_key IS NOT NULL AND state IN ('dispatching', 'unconfirmed')
            GROUP BY order_key HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="unresolved_within_limit",
        sentence="of a collector, no more triggers are unresolved than its least max_unresolved",
        sql="""
            SELECT runs.account, runs.collector_id, count(*) AS unresolved FROM runs
            WHERE state IN ('dispatching', 'unconfirmed')
            GROUP BY runs.account, runs.collector_id
            HAVING count(*) > coalesce(
                (SELECT min(collectors.max_unresolved) FROM collectors
                 WHERE collectors.account = runs.account
                   AND collectors.collector_id = runs.collector_id), 1)
        """,
    ),
    Invariant(
        name="one_accepted_attempt_per_run",
        sentence="at most one trigger of a run was accepted",
        sql="""
            SELECT run_id AS run FROM attempts
            WHERE outcome IN ('accepted', 'adopted')
            GROUP BY run_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="run_knows_its_collection",
        sentence="a collection_id that an attempt brought is its run's",
        sql="""
            SELECT attempts.run_id AS run, attempts.collection_id FROM attempts
            JOIN runs ON runs.id = attempts.run_id
            WHERE attempts.collection_id IS NOT NULL
              AND (runs.collection_id IS NULL OR runs.collection_id <> attempts.collection_id)
        """,
    ),
    Invariant(
        name="collection_has_its_attempt",
        sentence="a run's collection_id was brought by one of its attempts, and is kept",
        sql="""
            SELECT runs.id AS run, runs.collection_id FROM runs
            WHERE runs.collection_id IS NOT NULL AND NOT (
                EXISTS (SELECT 1 FROM attempts WHERE attempts.run_id = runs.id
                        AND attempts.collection_id = runs.collection_id)
                AND EXISTS (SELECT 1 FROM collections WHERE collections.id = runs.collection_id
                            AND collections.run_id = runs.id))
        """,
    ),
    Invariant(
        name="open_attempt_means_open_run",
        sentence="an attempt is open just while its run waits for it to be resolved",
        sql="""
            SELECT runs.id AS run, runs.state FROM runs
            JOIN attempts ON attempts.run_id = runs.id AND attempts.resolved_at IS NULL
            WHERE runs.state NOT IN ('dispatching', 'unconfirmed', 'needs_attention')
            UNION ALL
            SELECT runs.id AS run, runs.state FROM runs
            WHERE runs.state IN ('dispatching', 'unconfirmed', 'needs_attention')
              AND NOT EXISTS (SELECT 1 FROM attempts
                              WHERE attempts.run_id = runs.id AND attempts.resolved_at IS NULL)
        """,
    ),
    Invariant(
        name="no_trigger_before_the_last_was_settled",
        sentence="no trigger of a run was sent before the one before it was resolved",
        sql="""
            SELECT earlier.run_id AS run, later.number AS attempt FROM attempts AS earlier
            JOIN attempts AS later
              ON later.run_id = earlier.run_id AND later.number > earlier.number
            WHERE earlier.resolved_at IS NULL OR later.claimed_at < earlier.resolved_at
        """,
    ),
    Invariant(
        name="fence_is_the_last_attempt",
        sentence="every claim of a run left an attempt, and no attempt is unknown to its run",
        sql="""
            SELECT runs.id AS run FROM runs
            LEFT JOIN (SELECT run_id, max(number) AS last, count(*) AS made
                       FROM attempts GROUP BY run_id) AS sent ON sent.run_id = runs.id
            WHERE runs.fence <> coalesce(sent.last, 0) OR runs.fence <> coalesce(sent.made, 0)
               OR runs.attempt_count > runs.fence
        """,
    ),
    Invariant(
        name="nobody_overtakes_in_a_strict_queue",
        sentence="in a strict queue, no run is sent while one before it waits or is unresolved",
        sql="""
            SELECT ahead.id AS waiting, behind.id AS sent FROM runs AS ahead
            JOIN runs AS behind
              ON behind.order_key = ahead.order_key
             AND (behind.priority < ahead.priority OR (behind.priority = ahead.priority
                  AND (behind.due_at, behind.id) > (ahead.due_at, ahead.id)))
            JOIN attempts ON attempts.run_id = behind.id
            WHERE ahead.order_key LIKE 'queue:%' AND attempts.claimed_at > ahead.created_at
              AND ahead.state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')
        """,
    ),
    Invariant(
        name="nothing_sent_too_late",
        sentence="no trigger was sent after its run's misfire grace",
        sql="""
            SELECT attempts.run_id AS run, attempts.number AS attempt FROM attempts
            JOIN runs ON runs.id = attempts.run_id
            WHERE runs.send_before IS NOT NULL AND attempts.claimed_at > runs.send_before
        """,
    ),
    Invariant(
        name="skipped_was_never_accepted",
        sentence="a run that was skipped has no collection",
        sql="""
            SELECT runs.id AS run FROM runs
            WHERE state = 'skipped' AND (collection_id IS NOT NULL OR EXISTS (
                SELECT 1 FROM attempts WHERE attempts.run_id = runs.id
                AND outcome IN ('sending', 'accepted', 'adopted')))
        """,
    ),
    Invariant(
        name="fewer_than_ten_429",
        sentence="an account collects fewer than ten answers of 429 in any five minutes",
        sql="""
            SELECT last.account, last.happened_at FROM throttles AS last
            JOIN throttles AS other ON other.account = last.account
             AND {age} >= 0 AND {age} < 300
            WHERE NOT last.suspected AND NOT other.suspected
            GROUP BY last.id, last.account, last.happened_at HAVING count(*) >= 10
        """,
    ),
    Invariant(
        name="no_mark_ahead_of_now",
        sentence="no schedule is decided beyond the present (`status` says what mends it)",
        sql="SELECT name AS schedule, fired_until FROM schedules WHERE fired_until > {now}",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold, and the first rows that show it."""

    invariant: Invariant
    rows: Sequence[dict[str, Any]]


_MOST_ROWS: Final = 20


def list_violations(conn: Connection) -> list[Violation]:
    """Run every invariant's query; return those that found something."""
    violations = []
    for invariant in INVARIANTS:
        rows = conn.execute(text(_for_dialect(conn, invariant.sql))).mappings()
        breaches = [dict(row) for row in rows.fetchmany(_MOST_ROWS)]
        if breaches:
            violations.append(Violation(invariant=invariant, rows=breaches))
    return violations


def _for_dialect(conn: Connection, sql: str) -> str:
    sql = sql.replace("{now}", in_a_minute(conn))
    return sql.replace("{age}", seconds_between(conn, "other.happened_at", "last.happened_at"))
