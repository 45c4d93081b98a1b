-- Who is sent next: of each collector with room the run that is next in it, the most urgent first.
--
-- SQLite and PostgreSQL read the same text. To ask by hand, for an account called main:
--   sqlite3   .parameter set :accounts "'main'"   .parameter set :now "datetime('now')"
--   psql      \set accounts '''main'''            \set now 'now()'
-- and paste this page.

WITH RECURSIVE
-- From one collector to the next in ix_runs_waiting: the cost does not grow with the queue.
waiting(account, collector_id) AS (
    SELECT name, (SELECT min(collector_id) FROM runs WHERE state = 'queued' AND account = accounts.name)
    FROM accounts
    WHERE name IN (:accounts)
  UNION ALL
    SELECT account, (
        SELECT min(runs.collector_id) FROM runs
        WHERE runs.state = 'queued'
          AND runs.account = waiting.account
          AND runs.collector_id > waiting.collector_id
    )
    FROM waiting
    WHERE collector_id IS NOT NULL
),
-- Where several rows name a collector, the strictest limits hold; where none does, the usual ones.
limited AS MATERIALIZED (
    SELECT account, collector_id,
        (
            SELECT count(*) FROM runs
            WHERE runs.account = waiting.account AND runs.collector_id = waiting.collector_id
              AND runs.state IN ('dispatching', 'unconfirmed')
        ) AS unresolved,
        coalesce((
            SELECT min(collectors.max_unresolved) FROM collectors
            WHERE collectors.account = waiting.account
              AND collectors.collector_id = waiting.collector_id
        ), 1) AS max_unresolved,
        coalesce((
            SELECT min(collectors.max_running) FROM collectors
            WHERE collectors.account = waiting.account
              AND collectors.collector_id = waiting.collector_id
        ), 100) AS max_running
    FROM waiting
    WHERE collector_id IS NOT NULL
),
-- MATERIALIZED: otherwise PostgreSQL looks for each candidate as often as it is named below.
candidates AS MATERIALIZED (
    SELECT limited.*, (
        SELECT runs.id FROM runs
        WHERE runs.state = 'queued'
          AND runs.account = limited.account
          AND runs.collector_id = limited.collector_id
          -- may be sent:
          AND runs.not_before <= :now
          AND NOT runs.after_canary
          AND (runs.past_pauses OR NOT EXISTS (
              SELECT * FROM queues
              WHERE queues.name = runs.queue AND queues.paused_at IS NOT NULL
                AND (queues.paused_until IS NULL OR queues.paused_until > :now)
          ))
          AND (runs.past_pauses OR NOT EXISTS (
              SELECT * FROM schedules
              WHERE schedules.name = runs.schedule AND schedules.paused_at IS NOT NULL
                AND (schedules.paused_until IS NULL OR schedules.paused_until > :now)
          ))
          -- Not LIKE, which has signs of its own and, on SQLite, no cases.
          AND (runs.past_pauses OR NOT EXISTS (
              SELECT * FROM freezes
              WHERE (freezes.until IS NULL OR freezes.until > :now)
                AND (
                    freezes.scope = 'all'
                    OR freezes.scope = 'collector:' || runs.collector
                    OR substr(freezes.scope, 1, 6) = 'label:'
                        AND replace(runs.labels, ',' || substr(freezes.scope, 7) || ',', '')
                            <> runs.labels
                )
          ))
          -- A value, not EXISTS: that would be a join, which may be read along what is open.
          AND NOT coalesce((
              SELECT earlier.overdue_at IS NULL AND earlier.state IN (
                  'queued', 'dispatching', 'unconfirmed', 'needs_attention', 'collecting'
              )
              FROM runs AS earlier WHERE earlier.id = runs.waits_for
          ), FALSE)
          -- What others had running when it was due has ended, or is not known to run.
          AND NOT (
              runs.waits_for_others AND EXISTS (
                  SELECT * FROM other_jobs
                  WHERE other_jobs.account = runs.account
                    AND other_jobs.collector_id = runs.collector_id
                    AND other_jobs.counts_until > :now
                    AND NOT EXISTS (SELECT * FROM collections WHERE collections.id = other_jobs.id)
              )
          )
          -- its order key is free:
          -- Nobody of the key is in flight, or stands before it. Each is a question of its own, a
          -- step into an index: as one, it would be answered by reading along the order key, for
          -- every run in it. NOT around all of them, for each alone would be planned as a join.
          -- The second IN says nothing new, but lets ix_runs_in_line be used.
          AND NOT (
              EXISTS (
                  SELECT * FROM runs AS ahead
                  WHERE ahead.order_key = runs.order_key
                    AND ahead.state IN ('dispatching', 'unconfirmed')
              )
              OR EXISTS (
                  SELECT * FROM runs AS ahead
                  WHERE ahead.order_key = runs.order_key AND ahead.state = 'queued'
                    AND ahead.state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')
                    AND ahead.priority = runs.priority
                    AND (ahead.due_at, ahead.id) < (runs.due_at, runs.id)
              )
              OR EXISTS (
                  SELECT * FROM runs AS ahead
                  WHERE ahead.order_key = runs.order_key AND ahead.state = 'queued'
                    AND ahead.state IN ('queued', 'dispatching', 'unconfirmed', 'needs_attention')
                    AND ahead.priority > runs.priority
              )
              -- In a named queue order is a promise: nobody passes what a person must resolve.
              OR runs.queue IS NOT NULL AND EXISTS (
                  SELECT * FROM runs AS ahead
                  WHERE ahead.order_key = runs.order_key AND ahead.state = 'needs_attention'
              )
          )
        ORDER BY runs.priority DESC, runs.due_at, runs.id
        LIMIT 1
    ) AS id
    FROM limited
    WHERE unresolved < max_unresolved
)
-- No join to sort by, for which PostgreSQL would read all that is queued.
SELECT id, account, collector_id, unresolved, max_unresolved, max_running
FROM candidates
WHERE id IS NOT NULL
ORDER BY
    (SELECT runs.priority FROM runs WHERE runs.id = candidates.id) DESC,
    (SELECT runs.due_at FROM runs WHERE runs.id = candidates.id),
    id;
