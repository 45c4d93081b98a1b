"""
Runs: all that reads `runs` for the engine, and the only statements that write it.

candidates.sql is who is next, claims.py takes them, outcomes.py has what became of an attempt,
unconfirmed.py the lost ones, followed.py those that a collection ends, end_queued.py those that
are sent no more, canaries.py those that wait for their first chunk; write.py and
occurrences.py make them.

A run is written whole, as NewRun, by `write.insert_runs`, `write.insert_run`, `write.insert_keyed`
and `occurrences.insert_backfilled`. After that these write its columns:

| column | written by |
| --- | --- |
| state, moves, moved_at, moved_by | claims._taking, end_queued._ended, followed._ENDED, \
outcomes._moved, outcomes.undo_adoption, unconfirmed._lose |
| reason | end_queued._ended, followed._ENDED, outcomes._moved, outcomes.undo_adoption, \
unconfirmed._lose |
| detail | end_queued._ended, followed._ENDED, outcomes._moved, outcomes.undo_adoption, \
unconfirmed._lose, write.cut_gap |
| due_until, occurrences | write.cut_gap |
| ended_at | end_queued._ended, followed._ENDED, outcomes._moved |
| not_before | outcomes._moved, write.set_not_before |
| start_eta | outcomes._moved |
| query | write.set_query |
| send_before | canaries.let_go, write.set_sendable_for_ever |
| after_canary | canaries.let_go |
| attempt_count | claims._taking, outcomes._moved |
| fence | claims._taking |
| lease_until | claims.lengthen_lease |
| lease_owner, lease_until | claims._taking, outcomes._moved, unconfirmed._end_questions, \
unconfirmed._lose, unconfirmed.claim_lookups, unconfirmed.look_at_once, \
unconfirmed.put_off_lookup |
| next_lookup_at | end_queued._ended, outcomes._moved, unconfirmed._lose, \
unconfirmed.look_at_once, unconfirmed.put_off_lookup |
| lookups | outcomes._moved, unconfirmed._lose, unconfirmed.put_off_lookup |
| collection_id, triggered_at | outcomes._moved, outcomes.undo_adoption |
| overdue_at | followed.mark_overdue |
| waits_for | canaries._LET_WAIT, occurrences.set_waits_for |
| created_by | occurrences.insert_backfilled, write.insert_keyed, write.insert_run |
| request_key, request_digest | write.insert_keyed |
"""

from scheduler.storage.runs.counts import (
    QueueDepth,
    count_last_failures,
    count_made,
    count_open,
    count_states,
    count_waiting,
    count_waiting_of_account,
    count_waiting_of_schedules,
    list_full,
    list_queue_depths,
)
from scheduler.storage.runs.read import (
    RunFilter,
    count_runs,
    find_ahead,
    find_bound,
    find_last_error,
    find_sent_first,
    get_keyed,
    get_run,
    get_runs,
    has_key,
    list_attempts,
    list_retried,
    list_runs,
    list_unfinished,
)
from scheduler.storage.runs.write import (
    insert_keyed,
    insert_run,
    insert_runs,
    set_sendable_for_ever,
)

__all__ = [
    "QueueDepth",
    "RunFilter",
    "count_last_failures",
    "count_made",
    "count_open",
    "count_runs",
    "count_states",
    "count_waiting",
    "count_waiting_of_account",
    "count_waiting_of_schedules",
    "find_ahead",
    "find_bound",
    "find_last_error",
    "find_sent_first",
    "get_keyed",
    "get_run",
    "get_runs",
    "has_key",
    "insert_keyed",
    "insert_run",
    "insert_runs",
    "list_attempts",
    "list_full",
    "list_queue_depths",
    "list_retried",
    "list_runs",
    "list_unfinished",
    "set_sendable_for_ever",
]
