"""
What must always hold, as SQL that returns no row.

Read only, and safe beside running daemons: each query sees one moment. docs/promise.md tells what
each rests on. The judge above them is the upstream's own log, which no database can replace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from scheduler.storage.dialect import seconds_between


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A rule, and the query that finds what breaks it; `{age}` is in seconds."""

    name: str
    sentence: str
    sql: str


INVARIANTS: Final = (
    Invariant(
        name="one_run_per_occurrence",
        sentence="an occurrence of a schedule has one run, or one for each of its parts",
        sql="""
            SELECT schedule, due_at FROM runs
            WHERE schedule IS NOT NULL AND retry_of IS NULL
            GROUP BY schedule, due_at
            HAVING count(*) <> max(parts) OR count(DISTINCT part) <> max(parts)
                OR min(parts) <> max(parts) OR max(part) <> max(parts)
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
              AND (schedules.fired_until IS NULL OR runs.due_at > schedules.fired_until)
        """,
    ),
    Invariant(
        name="one_unsettled_per_lane",
        sentence="of a lane, at most one run is on the wire or unconfirmed",
        sql="""
            SELECT lane FROM runs
            WHERE lane IS NOT NULL AND state IN ('dispatching', 'unconfirmed')
            GROUP BY lane HAVING count(*) > 1
        """,
    ),
    Invariant(
        name="unsettled_within_limit",
        sentence="of a collector, no more triggers are unsettled than its least max_unsettled",
        sql="""
            SELECT runs.account, runs.collector_id, count(*) AS unsettled FROM runs
            WHERE state IN ('dispatching', 'unconfirmed')
            GROUP BY runs.account, runs.collector_id
            HAVING count(*) > coalesce(
                (SELECT min(collectors.max_unsettled) FROM collectors
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
        sentence="an attempt is open just while its run waits for it to be settled",
        sql="""
            SELECT runs.id AS run, runs.state FROM runs
            JOIN attempts ON attempts.run_id = runs.id AND attempts.settled_at IS NULL
            WHERE runs.state NOT IN ('dispatching', 'unconfirmed', 'needs_attention')
            UNION ALL
            SELECT runs.id AS run, runs.state FROM runs
            WHERE runs.state IN ('dispatching', 'unconfirmed', 'needs_attention')
              AND NOT EXISTS (SELECT 1 FROM attempts
                              WHERE attempts.run_id = runs.id AND attempts.settled_at IS NULL)
        """,
    ),
    Invariant(
        name="no_trigger_before_the_last_was_settled",
        sentence="no trigger of a run was sent before the one before it was settled",
        sql="""
            SELECT earlier.run_id AS run, later.number AS attempt FROM attempts AS earlier
            JOIN attempts AS later
              ON later.run_id = earlier.run_id AND later.number > earlier.number
            WHERE earlier.settled_at IS NULL OR later.claimed_at < earlier.settled_at
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
               OR runs.attempts > runs.fence
        """,
    ),
    Invariant(
        name="nobody_overtakes_in_a_strict_queue",
        sentence="in a strict queue, no run is sent while one before it waits or is unsettled",
        sql="""
            SELECT ahead.id AS waiting, behind.id AS sent FROM runs AS ahead
            JOIN runs AS behind
              ON behind.lane = ahead.lane
             AND (behind.priority < ahead.priority OR (behind.priority = ahead.priority
                  AND (behind.due_at, behind.id) > (ahead.due_at, ahead.id)))
            JOIN attempts ON attempts.run_id = behind.id
            WHERE ahead.lane LIKE 'queue:%' AND attempts.claimed_at > ahead.created_at
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
            SELECT last.account, last.at FROM throttles AS last
            JOIN throttles AS other ON other.account = last.account
             AND {age} >= 0 AND {age} < 300
            WHERE NOT last.suspected AND NOT other.suspected
            GROUP BY last.id, last.account, last.at HAVING count(*) >= 10
        """,
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
        found = [dict(row) for row in rows.fetchmany(_MOST_ROWS)]
        if found:
            violations.append(Violation(invariant=invariant, rows=found))
    return violations


def _for_dialect(conn: Connection, sql: str) -> str:
    return sql.replace("{age}", seconds_between(conn, "other.at", "last.at"))
