"""Every object of the daemon and what it is given: read this to see what depends on what."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from socket import gethostname

from scheduler.actions.input_files import input_files
from scheduler.actions.prune import rules_of
from scheduler.actions.run_defaults import run_defaults_of
from scheduler.clock import Clock
from scheduler.config import Config
from scheduler.config.account_rules import AccountLimits
from scheduler.config.secrets import SecretReference
from scheduler.daemon.tokens import Tokens
from scheduler.domain.definition import RunDefaults
from scheduler.domain.errors import ConfigError, InvalidInput
from scheduler.domain.notices import Rule
from scheduler.domain.retention import Retention
from scheduler.domain.tally import DATABASE_TIME
from scheduler.engine.account_questions import AccountQuestionsStep
from scheduler.engine.accounts import Upstreams
from scheduler.engine.alerts import AlertStep
from scheduler.engine.bodies import BatchReader
from scheduler.engine.channels import Senders
from scheduler.engine.clock_check import ClockCheck
from scheduler.engine.collection_requests import CollectionRequestsStep
from scheduler.engine.count_events import CountStep
from scheduler.engine.credentials import CredentialsStep
from scheduler.engine.deliver import DeliverStep
from scheduler.engine.dispatch import DispatchStep
from scheduler.engine.events import LOG, ConsumerStep, EventsStep, lines_of, logged_states
from scheduler.engine.failed_inputs import FailedInputsStep
from scheduler.engine.fire import FireStep
from scheduler.engine.fitness import FitnessStep
from scheduler.engine.follow import FollowStep
from scheduler.engine.heartbeat import HeartbeatStep
from scheduler.engine.listen import ListenStep
from scheduler.engine.loop import Loop, Step, Wake, WakeBy
from scheduler.engine.on_time import OnTime
from scheduler.engine.other_jobs import OtherJobsStep
from scheduler.engine.prune import PruneStep
from scheduler.engine.reconcile import ReconcileStep
from scheduler.engine.relay import Relay
from scheduler.engine.restore_check import RestoreStep
from scheduler.engine.save import SaveStep
from scheduler.engine.tuning import EVENTS_EVERY
from scheduler.inputs import InputFiles
from scheduler.storage.database import Database
from scheduler.storage.listener import Listener
from scheduler.upstream import UpstreamTransport, Wire


@dataclass(slots=True)
class Settings:
    """The configuration in force: a reload puts another in its place."""

    config: Config
    environ: Mapping[str, str]
    wire: Wire = UpstreamTransport
    tokens: Tokens = field(init=False)
    secrets: Tokens = field(init=False)
    _limits: tuple[Config, AccountLimits] | None = None

    def __post_init__(self) -> None:
        """Read tokens where the environment says; other secrets may hold any character."""
        self.tokens = Tokens(self.environ)
        self.secrets = Tokens(self.environ, read_one=SecretReference.read)

    def defaults(self) -> RunDefaults:
        """Return what holds where a definition says nothing."""
        return run_defaults_of(self.config)

    def retention(self) -> Retention:
        """Return how long the past is kept."""
        return rules_of(self.config.retention)

    def input_files(self) -> InputFiles:
        """Return which files batches may be read from."""
        return input_files(self.config, self.environ)

    def token(self, reference: SecretReference) -> str:
        """Return an account's token as it is now; raises ConfigError where it cannot be read."""
        return self.tokens.read(reference)

    def secret(self, name: str) -> str | None:
        """Return the secret of that *name*; None if there is none. InvalidInput says what fails."""
        reference = self.config.secrets.get(name)
        try:
            return None if reference is None else self.secrets.read(reference)
        except ConfigError as error:
            raise InvalidInput(f"the secret {name} cannot be read: {error}") from None

    def may_go(self, name: str, destination: str) -> bool:
        """Tell whether the secret that is called *name* may be sent there."""
        secret = self.config.secrets.get(name)
        return secret is None or secret.may_go_to(destination)

    def results_folder(self) -> Path | None:
        """Return the folder below which results are saved; None where none are."""
        folder = self.config.results.folder
        return None if folder is None else Path(folder)

    def rules(self) -> list[Rule]:
        """Return who is told of what."""
        return [
            Rule(**{key: getattr(rule, key) for key in _OF_A_RULE}, kinds=frozenset(rule.kinds))
            for rule in self.config.notices.values()
        ]

    def account_limits(self) -> AccountLimits:
        """Return where rows of accounts may have tokens sent."""
        if self._limits is None or self._limits[0] is not self.config:
            self._limits = (self.config, AccountLimits.of(self.config))
        return self._limits[1]


_OF_A_RULE = ("channels", "schedules", "labels", "remind_every", "recovered")


@dataclass(slots=True, kw_only=True)
class Engine:
    """The loops, and the parts of them that starting and stopping needs."""

    loops: list[Loop]
    dispatch: DispatchStep
    reconcile: ReconcileStep
    follow: FollowStep
    relay: Relay
    upstreams: Upstreams
    clock_check: ClockCheck
    listener: Listener | None
    _telling: asyncio.TimerHandle | None = None

    def passed(self, name: str) -> None:
        """
        Have the events told that a pass of the loop called *name* may have left, a little later.

        Not at once: of a lone run the log would be written while its trigger is to leave.
        """
        if name != LOG_LOOP and self._telling is None:
            delay = EVENTS_EVERY.total_seconds()
            self._telling = asyncio.get_running_loop().call_later(delay, self._tell)

    def _tell(self) -> None:
        self._telling = None
        for loop in self.loops:
            if loop.name == LOG_LOOP:
                loop.wakeup.set()

    async def drain_events(self) -> None:
        """Have all consumers take what there is."""
        for loop in self.loops:
            if isinstance(loop.step, ConsumerStep):
                await loop.step.drain()

    async def drain_deliveries(self, grace: timedelta) -> None:
        """Send no further message, begin no download, and give those under way a little time."""
        steps = [loop.step for loop in self.loops]
        drained = [one.drain(grace) for one in steps if isinstance(one, DeliverStep | SaveStep)]
        await asyncio.gather(*drained)

    def wake_all(self) -> None:
        """Wake every loop that may have work."""
        for loop in self.loops:
            loop.wakeup.set()


def build_engine(db: Database, settings: Settings, *, clock: Clock, owner: str) -> Engine:
    """Wire the steps of the daemon called *owner* to the database and to each other."""
    config = settings.config
    upstreams = _open_upstreams(db, settings, clock)
    parts = _Parts(db=db, settings=settings, clock=clock, owner=owner, upstreams=upstreams)
    dispatch, reconcile, follow = parts.dispatch(), parts.reconcile(), parts.follow()
    requests = parts.collection_requests()
    steps: dict[str, Step] = {
        "fire": parts.fire(dispatch),
        "dispatch": dispatch,
        "reconcile": reconcile,
        "follow": follow,
        "other jobs": parts.other_jobs(),
        "requests": requests,
        "account questions": parts.account_questions(),
        "credentials": parts.credentials(),
        "save": parts.save(),
        **_upkeep(db, settings, upstreams, clock, owner, parts.wake("dispatch")),
        **_consumers(db),
        **_notices(db, settings, clock, owner, parts.wake("deliver")),
    }
    listener = Listener(config.database.url) if db.file is None else None
    if listener is not None:
        steps["listen"] = ListenStep(listener=listener, wake_all=parts.wake("fire", "dispatch"))
    idle = config.daemon.poll_interval
    parts.loops |= {name: Loop(name, step, max_idle=idle) for name, step in steps.items()}
    return Engine(
        loops=list(parts.loops.values()),
        dispatch=dispatch,
        reconcile=reconcile,
        follow=follow,
        relay=Relay(db, upstreams, clock, requests),
        upstreams=upstreams,
        clock_check=_clock_check(db, settings, clock, upstreams),
        listener=listener,
    )


@dataclass(slots=True, kw_only=True)
class _Parts:
    """Builds the steps that a run goes through; *loops* are what they wake, once all are there."""

    db: Database
    settings: Settings
    clock: Clock
    owner: str
    upstreams: Upstreams
    loops: dict[str, Loop] = field(default_factory=dict)

    def wake(self, *names: str) -> Wake:
        """Return what wakes those loops; they need not be built yet."""

        def wake_them() -> None:
            for name in names:
                self.loops[name].wakeup.set()

        return wake_them

    def wake_by(self, name: str) -> WakeBy:
        """Return what tells that loop of work to come; it need not be built yet."""
        return lambda moment: self.loops[name].wake_by(moment)

    def fire(self, dispatch: DispatchStep) -> FireStep:
        return FireStep(
            db=self.db,
            reader=BatchReader(files=self.settings.input_files),
            defaults=self.settings.defaults,
            carry_out=dispatch.fire,
            on_time=OnTime(self.clock),
            is_free=dispatch.is_free,
        )

    def dispatch(self) -> DispatchStep:
        config = self.settings.config
        return DispatchStep(
            db=self.db,
            upstreams=self.upstreams,
            clock=self.clock,
            owner=self.owner,
            lease=config.daemon.lease,
            request_timeout=config.daemon.request_timeout,
            first_lookup=config.unconfirmed.lookup_after[0],
            secret=self.settings.secret,
            may_go=self.settings.may_go,
            wake=self.wake("dispatch"),
            wake_follow=self.wake_by("follow"),
            wake_reconcile=self.wake_by("reconcile"),
        )

    def reconcile(self) -> ReconcileStep:
        config = self.settings.config
        return ReconcileStep(
            db=self.db,
            upstreams=self.upstreams,
            clock=self.clock,
            owner=self.owner,
            lookup_after=config.unconfirmed.lookup_after,
            request_timeout=config.daemon.request_timeout,
            lease=config.daemon.lease,
            wake_dispatch=self.wake("dispatch"),
            wake_follow=self.wake("follow"),
        )

    def follow(self) -> FollowStep:
        config = self.settings.config
        return FollowStep(
            db=self.db,
            upstreams=self.upstreams,
            clock=self.clock,
            owner=self.owner,
            poll_initial=config.follow.poll_initial,
            poll_max=config.follow.poll_max,
            overdue_after=config.follow.overdue_after,
            request_timeout=config.daemon.request_timeout,
            wake=self.wake("follow"),
            wake_dispatch=self.wake("dispatch"),
        )

    def save(self) -> SaveStep:
        return SaveStep(
            db=self.db,
            upstreams=self.upstreams,
            clock=self.clock,
            owner=self.owner,
            host=gethostname(),
            folder=self.settings.results_folder,
            stalled_after=2 * self.settings.config.daemon.request_timeout,
            wake=self.wake("save"),
        )

    def other_jobs(self) -> OtherJobsStep:
        config = self.settings.config
        return OtherJobsStep(
            db=self.db,
            upstreams=self.upstreams,
            clock=self.clock,
            owner=self.owner,
            poll_initial=config.follow.poll_initial,
            overdue_after=config.follow.overdue_after,
            request_timeout=config.daemon.request_timeout,
            wake_dispatch=self.wake("dispatch"),
        )

    def collection_requests(self) -> CollectionRequestsStep:
        config = self.settings.config
        return CollectionRequestsStep(
            db=self.db,
            upstreams=self.upstreams,
            clock=self.clock,
            owner=self.owner,
            request_timeout=config.daemon.request_timeout,
            first_lookup=config.unconfirmed.lookup_after[0],
            wake_follow=self.wake("follow", "reconcile"),
        )

    def account_questions(self) -> AccountQuestionsStep:
        return AccountQuestionsStep(
            db=self.db,
            upstreams=self.upstreams,
            clock=self.clock,
            request_timeout=self.settings.config.daemon.request_timeout,
        )

    def credentials(self) -> CredentialsStep:
        wake_dispatch = self.wake("dispatch")
        return CredentialsStep(db=self.db, upstreams=self.upstreams, wake_dispatch=wake_dispatch)


def _upkeep(
    db: Database,
    settings: Settings,
    upstreams: Upstreams,
    clock: Clock,
    owner: str,
    wake_dispatch: Wake,
) -> dict[str, Step]:
    """Return what nothing waits for."""
    return {
        "failed inputs": FailedInputsStep(
            db=db,
            upstreams=upstreams,
            clock=clock,
            owner=owner,
            request_timeout=settings.config.daemon.request_timeout,
            wake_dispatch=wake_dispatch,
        ),
        "restore": RestoreStep(db=db, upstreams=upstreams, clock=clock),
        "fitness": FitnessStep(db=db, owner=owner),
        "prune": PruneStep(db=db, rules=settings.retention),
    }


def _notices(
    db: Database, settings: Settings, clock: Clock, owner: str, wake: Wake
) -> dict[str, Step]:
    """Return what notes what is wrong, what tells it, and what tells that all is well."""
    senders = Senders(
        clock=clock,
        read_secret=settings.tokens.read,
        limits=lambda: settings.config.limits,
        environ=settings.environ,
    )
    return {
        "alerts": AlertStep(db=db, rules=settings.rules, wake_delivery=wake, now=clock),
        "deliver": DeliverStep(
            db=db,
            channels=lambda: settings.config.channels,
            senders=senders,
            clock=clock,
            wake=wake,
        ),
        "heartbeat": HeartbeatStep(
            db=db,
            owner=owner,
            settings=lambda: settings.config.heartbeat,
            senders=senders,
        ),
    }


def _clock_check(
    db: Database, settings: Settings, clock: Clock, upstreams: Upstreams
) -> ClockCheck:
    trusts_upstream = settings.config.daemon.trust_upstream_clock
    return ClockCheck(db=db, clock=clock, upstreams=upstreams, trusts_upstream=trusts_upstream)


def _open_upstreams(db: Database, settings: Settings, clock: Clock) -> Upstreams:
    upstreams = Upstreams(
        request_timeout=settings.config.daemon.request_timeout,
        clock=clock,
        read_secret=settings.token,
        limits=settings.account_limits,
        wire=settings.wire,
    )
    db.observe = partial(upstreams.tally.observe, DATABASE_TIME)
    return upstreams


LOG_LOOP = "events"


def _consumers(db: Database) -> dict[str, ConsumerStep]:
    """Return who reads what has happened to runs: the log, and what counts it for the metrics."""
    return {
        LOG_LOOP: EventsStep(db=db, consumer=LOG, prepare=lines_of, states=logged_states()),
        "metrics": CountStep(db=db),
    }
