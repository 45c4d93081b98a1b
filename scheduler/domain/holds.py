"""Holds: what keeps runs from being sent for a while, and how it is told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from scheduler.domain.records import NewRun, Run
from scheduler.domain.timestamps import display_time

_WORDS: Final = {
    "queue": ("queue {}", "paused"),
    "schedule": ("schedule {}", "paused"),
    "freeze": ("{}", "frozen"),
    "account": ("account {}", "paused"),
    "brake": ("account {}", "braked"),
    "full": ("collector {}", "full"),
}
_BY_A_PERSON: Final = ("queue", "schedule", "freeze", "account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What held runs up from *since* until then; None while it lasts. *scope* says which runs."""

    scope: str
    why: str | None
    by: str | None
    since: datetime
    until: datetime | None

    def overlaps(self, since: datetime, until: datetime) -> bool:
        """Tell whether it held anything up between these two, the last moment included."""
        return self.since <= until and (self.until is None or self.until > since)

    @property
    def present(self) -> str:
        """Say what it holds up, by whom, until when and why."""
        return self._words("is", f" until {display_time(self.until)}" if self.until else "")

    @property
    def past(self) -> str:
        """Say what it held up, by whom, from when to when and why."""
        to = f"to {display_time(self.until)}" if self.until else "on"
        return self._words("was", f" from {display_time(self.since)} {to}")

    def _words(self, verb: str, span: str) -> str:
        kind, _, name = self.scope.partition(":")
        subject, what = _WORDS[kind]
        subject = subject.format(name.rpartition(":")[2] if kind == "full" else name)
        by = f" by {self.by or 'hand'}" if kind in _BY_A_PERSON else ""
        return f"{subject} {verb} {what}{by}{span}: {self.why or 'no reason given'}"


def brake_scope(account: str) -> str:
    """Return the scope of what the account's own brake holds up."""
    return f"brake:{account}"


def full_scope(account: str, collector_id: str) -> str:
    """Return the scope of what waits for a run of its collector to end."""
    return f"full:{account}:{collector_id}"


def pauses_of(run: Run | NewRun) -> tuple[str, ...]:
    """Return the scopes of the pauses and freezes that a run may be sent in spite of."""
    labels = [label for label in (run.labels or "").split(",") if label]
    return (
        f"queue:{run.queue}",
        f"schedule:{run.schedule}",
        "freeze:all",
        f"freeze:collector:{run.collector}",
        *(f"freeze:label:{label}" for label in labels),
    )


def account_scope(account: str) -> str:
    """Return the scope of a pause of the account, which holds whatever is asked for."""
    return f"account:{account}"


def scopes_of(run: Run) -> tuple[str, ...]:
    """Return the scopes that concern *run*, those that a person must lift first."""
    return (
        *(() if run.past_pauses else pauses_of(run)),
        account_scope(run.account),
        full_scope(run.account, run.collector_id),
        brake_scope(run.account),
    )
