"""What needs a person, a sentence each: the same in `status` and in `doctor`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from scheduler.domain.notices import AlertKind
from scheduler.domain.other_jobs import name_others
from scheduler.domain.parking import parked_sentence
from scheduler.domain.pauses import stopped_by
from scheduler.domain.records import RunState
from scheduler.domain.timestamps import display_time
from scheduler.processes import is_alive
from scheduler.storage.ahead import TOLERANCE
from scheduler.storage.restores import unsettled_sentence
from scheduler.storage.runs.failing import LOOKED_AT, MOST_FOUND
from scheduler.views.accounts import AccountView
from scheduler.views.status import SILENT_AFTER, DaemonView, LostView, StatusView


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """
    What needs a person, and since when, where that is known.

    *subject* is whom it is about, as in `changes`: `schedules.nightly`, or a table alone.
    *is_chosen* tells that somebody meant it so, or that it ends by itself: it is told, and is no
    alarm.
    """

    sentence: str
    subject: str
    since: datetime | None = None
    is_chosen: bool = False


def list_needs(status: StatusView) -> Iterator[Need]:
    """Yield all that needs a person, the worst first: daemons and accounts, too."""
    if sentence := no_daemon_sentence(status):
        seen_at = status.last_daemon.seen_at if status.last_daemon else None
        yield Need(sentence=sentence, subject="daemons", since=seen_at)
    for daemon in status.daemons:
        if daemon.last_error is not None:
            yield Need(
                sentence=f"daemon {daemon.pid} on {daemon.host} is in trouble: {daemon.last_error}",
                subject="daemons",
            )
        if sentence := why_silent(daemon, status.read_at):
            yield Need(sentence=sentence, subject="daemons", since=daemon.seen_at)
    for account in status.accounts:
        yield from _of_account(account, status.read_at)
    yield from _of_work(status)


def why_silent(daemon: DaemonView, now: datetime) -> str | None:
    """Say that a daemon has stopped writing that it lives; None where it has not."""
    if now - daemon.seen_at < SILENT_AFTER:
        return None
    return (
        f"daemon {daemon.pid} on {daemon.host} has written nothing since"
        f" {display_time(daemon.seen_at)}{_UNWRITTEN}"
    )


_UNWRITTEN: Final = (
    ": does it hang, is a clock wrong, or can the database not be written? its log says why"
)


def attention_sentences(status: StatusView) -> Iterator[str]:
    """Yield what needs a person, daemons and accounts aside."""
    return (need.sentence for need in _of_work(status))


def _of_account(account: AccountView, now: datetime) -> Iterator[Need]:
    subject = f"accounts.{account.name}"
    if account.paused_at is not None:
        sentence = f"account {account.name} is {account_paused(account)}"
        yield Need(sentence=sentence, subject=subject, since=account.paused_at)
    if account.error is not None:
        yield Need(sentence=f"account {account.name} is invalid: {account.error}", subject=subject)
    if account.balance is not None and account.balance < (account.balance_below or 0):
        sentence = (
            f"the balance of account {account.name} is {account.balance:,.2f}, below"
            f" {account.balance_below:,.2f} (at {display_time(account.balance_at or now)})"
        )
        yield Need(sentence=sentence, subject=subject, since=account.balance_at)
    if closed := why_closed(account, now):
        yield Need(sentence=f"account {account.name} {closed}", subject=subject)


def _of_work(status: StatusView) -> Iterator[Need]:
    if status.unwritable is not None:
        yield Need(sentence=status.unwritable, subject="database")
    yield from _held_daemons(status)
    if status.unsettled_backup_at is not None:
        sentence = unsettled_sentence(status.unsettled_backup_at)
        yield Need(sentence=sentence, subject="database", since=status.unsettled_backup_at)
    elif status.put_back is not None:
        yield Need(sentence=status.put_back, subject="database", since=status.restored_from_at)
    for schedule in status.invalid:
        sentence = f"schedule {schedule.name} is invalid: {schedule.error}"
        yield Need(sentence=sentence, subject=f"schedules.{schedule.name}")
    for part in _PARTS:
        yield from part(status)
    if waiting := status.open_runs.get(RunState.NEEDS_ATTENTION):
        yield Need(
            sentence=(
                f"{waiting} {'run needs' if waiting == 1 else 'runs need'} a person to decide:"
                " dca-scheduler runs list --state needs_attention"
            ),
            subject="runs",
        )


def no_daemon_sentence(status: StatusView) -> str | None:
    """Say that no daemon is there, and what became of the last one; None where one is."""
    if status.daemons or status.held_daemons:
        return None
    last = status.last_daemon
    if last is None:
        return "no daemon was seen in the last seven days"
    if status.restored_from_at is not None:
        restored = display_time(status.restored_from_at)
        return f"no daemon runs: none has since this database was restored, from {restored}"
    if status.put_back is not None:
        return "no daemon runs: none has since this database was put back"
    who = f"the last, pid {last.pid} on {last.host},"
    if last.stopped_at is not None:
        return f"no daemon runs: {who} stopped at {display_time(last.stopped_at)}"
    seen = display_time(last.seen_at)
    if is_alive(last.process):
        return f"no daemon works: {who} lives, and has written nothing since {seen}{_UNWRITTEN}"
    trouble = f"; it was in trouble: {last.last_error}" if last.last_error is not None else ""
    return f"no daemon runs: {who} was last seen at {seen} and did not stop by itself{trouble}"


def held_sentences(status: StatusView) -> Iterator[str]:
    """Say which daemons are up, and do nothing."""
    for daemon in status.held_daemons:
        yield (
            f"daemon pid {daemon.pid} on {daemon.host} is held, and decides and sends nothing:"
            f" {daemon.why} (it said so at {display_time(daemon.seen_at)})"
        )


def _held_daemons(status: StatusView) -> Iterator[Need]:
    for sentence in held_sentences(status):
        yield Need(sentence=sentence, subject="daemons")


def _late(status: StatusView) -> Iterator[Need]:
    if status.late is not None:
        others = f" and {status.late.count - 1} more are" if status.late.count > 1 else " is"
        yield Need(
            sentence=(
                f"schedule {status.late.name}{others} late: due at"
                f" {display_time(status.late.due_at)}, and no daemon has fired"
            ),
            subject=f"schedules.{status.late.name}",
            since=status.late.due_at,
        )


def _lost(status: StatusView) -> Iterator[Need]:
    since = f"since {display_time(status.lost_since)}"
    for lost, how in ((status.failed, "failed"), (status.missed, "missed")):
        if lost is not None:
            yield Need(
                sentence=f"{_count(lost)} {how} {since}, the last {_newest(lost)}",
                subject=f"runs.{lost.newest.id}",
                since=lost.newest.ended_at,
            )


def _count(lost: LostView) -> str:
    return f"{lost.count} run{'s' * (lost.count != 1)}"


def _newest(lost: LostView) -> str:
    run = lost.newest
    why = f"{run.reason}: {run.detail}" if run.detail else run.reason
    return f"run {run.id} of {run.schedule or run.collector}, due {display_time(run.due_at)}, {why}"


def _backlogs(status: StatusView) -> Iterator[Need]:
    for row in status.backlogs:
        yield Need(
            sentence=(
                f"schedule {row.schedule} falls behind: {row.waiting_count} of its runs have not"
                f" begun, the first due {display_time(row.due_at)}"
            ),
            subject=f"schedules.{row.schedule}",
            since=row.due_at,
        )


def _failing(status: StatusView) -> Iterator[Need]:
    for row in status.failing:
        why = f"{row.run.reason}: {row.run.detail}" if row.run.detail else row.run.reason
        yield Need(
            sentence=f"schedule {row.schedule} failed {row.in_a_row} times in a row, last {why}",
            subject=f"schedules.{row.schedule}",
            since=row.run.ended_at,
        )


def _stale(status: StatusView) -> Iterator[Need]:
    for row in status.stale:
        yield Need(
            sentence=(
                f"schedule {row.schedule} is stale since {display_time(row.since)}: {row.detail}"
            ),
            subject=f"schedules.{row.schedule}",
            since=row.since,
        )


def _unready(status: StatusView) -> Iterator[Need]:
    for row in status.unready:
        how = "was not ready" if row.kind is AlertKind.NOT_READY else "will not be ready in time"
        yield Need(
            sentence=f"schedule {row.schedule} {how}: {row.detail}",
            subject=f"schedules.{row.schedule}",
            since=row.since,
        )


def _parked(status: StatusView) -> Iterator[Need]:
    for parked in status.parked:
        yield Need(
            sentence=(
                f"schedule {parked.schedule}: {parked_sentence(parked.count)}"
                f" (dca-scheduler schedules parked {parked.schedule})"
            ),
            subject=f"schedules.{parked.schedule}",
            since=parked.since,
            is_chosen=True,
        )


def _unsaved(status: StatusView) -> Iterator[Need]:
    unsaved = status.unsaved_results
    told = {
        "given up": unsaved.failed_count,
        "soon forgotten by the upstream": unsaved.expiring_count,
    }
    for how, count in told.items():
        if count:
            yield Need(
                sentence=(
                    f"{count} {'result is' if count == 1 else 'results are'} {how}"
                    " (dca-scheduler results list --unsaved)"
                ),
                subject="results",
            )


def _untold(status: StatusView) -> Iterator[Need]:
    for outbox in status.untold:
        why = f": {outbox.last_error}" if outbox.last_error else ""
        waits = f"{outbox.waiting_count} waiting" if outbox.waiting_count else ""
        lost = f"{outbox.given_up_count} messages given up" if outbox.given_up_count else ""
        told = " and ".join(filter(None, (waits, lost)))
        yield Need(
            sentence=(
                f"channel {outbox.channel} does not get through, {told}{why}"
                f" (dca-scheduler notices list --channel {outbox.channel})"
            ),
            subject=f"channels.{outbox.channel}",
            since=outbox.oldest_at,
        )


def unseen_failures(status: StatusView) -> Iterator[str]:
    """Yield a sentence where there may be failures that were not looked for."""
    if not status.is_all_that_fails:
        yield (
            f"more may fail: {LOOKED_AT} schedules and those of the newest {LOOKED_AT} runs were"
            f" looked at, {MOST_FOUND} are shown at most (dca-scheduler runs list --state failed)"
        )


def _zone_data(status: StatusView) -> Iterator[Need]:
    if len({daemon.zone_data for daemon in status.daemons}) > 1:
        daemons = ", ".join(
            f"{daemon.zone_data or 'unknown'} in pid {daemon.pid} on {daemon.host}"
            for daemon in status.daemons
        )
        yield Need(
            sentence=f"daemons plan by different zone data, give all the newest tzdata: {daemons}",
            subject="daemons",
        )


def _ahead(status: StatusView) -> Iterator[Need]:
    if sentence := why_clocks_differ(status.daemons, status.read_at):
        yield Need(sentence=sentence, subject="daemons")
        return
    if status.held_daemons:
        return  # it says so of the clock that marks are compared with
    if status.ahead:
        first = min(status.ahead, key=lambda row: row.decided_until)
        yield Need(
            sentence=(
                f"{len(status.ahead)} schedules are decided beyond now and do not fire until then,"
                f" {first.name} until {display_time(first.decided_until)}: a clock was ahead"
                " (dca-scheduler clock reset), or the one here is behind, which shows"
                f" {display_time(status.read_at)}"
            ),
            subject=f"schedules.{first.name}",
        )
    if status.ahead_runs:
        first_run = status.ahead_runs[0]
        yield Need(
            sentence=(
                f"{len(status.ahead_runs)} runs were asked for by a clock that was ahead, run"
                f" {first_run.id} waits until {display_time(first_run.not_before)}"
                " (dca-scheduler clock reset)"
            ),
            subject=f"runs.{first_run.id}",
        )


def why_clocks_differ(daemons: Iterable[DaemonView], now: datetime) -> str | None:
    """Say which daemon lives by a clock that is ahead of *now*: then either may be wrong."""
    for daemon in daemons:
        if daemon.seen_at > now + TOLERANCE:
            return (
                f"the clock here shows {display_time(now)}, and daemon {daemon.pid} on"
                f" {daemon.host} goes by a later one, {display_time(daemon.seen_at)}: set the wrong"
                " one right; dca-scheduler clock reset is for the daemon's, once it is stopped"
            )
    return None


def _overdue(status: StatusView) -> Iterator[Need]:
    for run in status.overdue:
        yield Need(
            sentence=(
                f"run {run.id} of {run.schedule or run.collector} is overdue: {run.collection_id}"
                f" has not ended (dca-scheduler runs cancel {run.id}); it holds up no other run"
            ),
            subject=f"runs.{run.id}",
            since=run.overdue_at,
        )


def _unheard(status: StatusView) -> Iterator[Need]:
    if unheard := status.unheard:
        yield Need(
            sentence=(
                f"no answer told anything of {unheard.count}"
                f" {'collection' if unheard.count == 1 else 'collections'}, the first"
                f" {unheard.collection_id} of run {unheard.run_id}, accepted"
                f" {display_time(unheard.accepted_at)}: the log has what came"
                " (collection_unanswered); they are asked about again, for 16 days"
            ),
            subject=f"runs.{unheard.run_id}",
            since=unheard.accepted_at,
        )


def _astray(status: StatusView) -> Iterator[Need]:
    for row in status.astray:
        what = f"schedule {row.schedule}" if row.run_id is None else f"run {row.run_id}"
        if row.run_id is not None and row.schedule is not None:
            what += f" of {row.schedule}"
        how = _ASTRAY.get(row.kind, "goes astray")
        yield Need(sentence=f"{what} {how}: {row.detail}", subject=row.subject, since=row.since)


_ASTRAY: Final = {
    AlertKind.CADENCE: "has lost its cadence",
    AlertKind.LATE_START: "starts late",
    AlertKind.OVERRUN: "overruns",
    AlertKind.OUTLASTING: "outlasts the time to the next",
}


def _unowned(status: StatusView) -> Iterator[Need]:
    for name in status.unowned:
        yield Need(
            sentence=(
                f"schedule {name} fires, and no file has it any more"
                f" (dca-scheduler schedules pause {name}, or apply --prune)"
            ),
            subject=f"schedules.{name}",
        )


def _unknown_jobs(status: StatusView) -> Iterator[Need]:
    if status.unknown_jobs:
        told = ", ".join(
            f"{job.id} of {job.collector_id}, queued {job.queued_at or 'at an unknown time'}"
            for job in status.unknown_jobs[:_MOST_JOBS]
        )
        more = " …" if len(status.unknown_jobs) > _MOST_JOBS else ""
        yield Need(
            sentence=(
                f"{len(status.unknown_jobs)} of the upstream's jobs since the restored backup are"
                " in no run (a backfill that sends theirs again is paid again; status --json has"
                f" all): {told}{more}"
            ),
            subject="collections",
        )


_MOST_JOBS = 10


def list_others(status: StatusView) -> Iterator[Need]:
    """Yield what others run on our collectors, which is nobody's fault."""
    for job in status.other_jobs[:_MOST_JOBS]:
        yield Need(
            sentence=f"{job.collector_id} of {job.account}: {name_others([job.id])}",
            subject="collectors",
            since=job.began_at,
            is_chosen=True,
        )
    if len(status.other_jobs) > _MOST_JOBS:
        sentence = f"{len(status.other_jobs)} jobs of others run in all (status --json has them)"
        yield Need(sentence=sentence, subject="collectors", is_chosen=True)


def _unread(status: StatusView) -> Iterator[Need]:
    for row in status.unread_lists:
        if row.listed_at is None or status.read_at - row.listed_at > _UNREAD_FOR:
            sentence = (
                f"{row.collector_id} of {row.account}: its jobs cannot be listed ({row.trouble}):"
                " what others run there does not count (count_others = false asks no more)"
            )
            yield Need(sentence=sentence, subject="collectors", since=row.listed_at)


_UNREAD_FOR: Final = timedelta(minutes=15)
"""A list that was read since is no trouble: it is asked for again."""


def _worn(status: StatusView) -> Iterator[Need]:
    for sentence in status.worn_budgets:
        yield Need(sentence=sentence, subject="budgets")


def _expiring(status: StatusView) -> Iterator[Need]:
    for token in status.expiring_tokens:
        if token.expires_at is not None:
            verb = "ended" if token.expires_at <= status.read_at else "ends"
            yield Need(
                sentence=(
                    f"token {token.name} {verb} at {display_time(token.expires_at)}: make another,"
                    f" then dca-scheduler token revoke {token.name}"
                ),
                subject=f"api_tokens.{token.name}",
            )


def _held(status: StatusView) -> Iterator[Need]:
    for freeze in status.freezes:
        why = stopped_by(freeze.frozen_by, freeze.reason, freeze.until)
        yield Need(
            sentence=f"{freeze.scope} is frozen{why}",
            subject="freezes",
            since=freeze.frozen_at,
            is_chosen=True,
        )
    for queue in status.paused_queues:
        why = stopped_by(queue.paused_by, queue.paused_reason, queue.paused_until)
        yield Need(
            sentence=f"queue {queue.name} is paused{why}",
            subject=f"queues.{queue.name}",
            since=queue.paused_at,
            is_chosen=True,
        )
    for paused in status.paused:
        why = stopped_by(paused.paused_by, paused.paused_reason, paused.paused_until)
        yield Need(
            sentence=f"schedule {paused.name} is paused{why}",
            subject=f"schedules.{paused.name}",
            since=paused.paused_at,
            is_chosen=True,
        )


_PARTS: Final = (
    _zone_data,
    _late,
    _lost,
    _failing,
    _stale,
    _unready,
    _unsaved,
    _parked,
    _ahead,
    _overdue,
    _unheard,
    _astray,
    _backlogs,
    _held,
    _unowned,
    _unknown_jobs,
    _unread,
    _expiring,
    _worn,
    _untold,
)
"""In the order in which they are told."""


def account_paused(account: AccountView) -> str:
    """Say by whom an account is paused, until when and why; no person did it for a token."""
    if account.paused_by is None:
        return f"paused: {account.paused_reason or 'no reason given'}"
    return "paused" + stopped_by(account.paused_by, account.paused_reason, account.paused_until)


def why_closed(account: AccountView, now: datetime) -> str | None:
    """Say until when an account sends nothing, and why; None while its brake is open."""
    if account.open_until is None or account.open_until <= now:
        return None
    why = f" ({account.last_error})" if account.last_error else ""
    return f"sends nothing until {display_time(account.open_until)}{why}"
