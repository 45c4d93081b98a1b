"""Every object of the daemon and what it is given: read this to see what depends on what."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.actions.fallbacks import fallbacks_of
from scheduler.clock import Clock
from scheduler.config import Config, SecretReference
from scheduler.domain.definition import Fallbacks
from scheduler.domain.errors import SchedulerError
from scheduler.engine.accounts import Upstreams
from scheduler.engine.bodies import BatchReader
from scheduler.engine.credentials import CredentialsStep
from scheduler.engine.dispatch import DispatchStep
from scheduler.engine.fire import FireStep
from scheduler.engine.follow import FollowStep
from scheduler.engine.listen import ListenStep
from scheduler.engine.loop import Loop, Step, Wake
from scheduler.engine.reconcile import ReconcileStep
from scheduler.storage.database import Database
from scheduler.storage.news import Listener


@dataclass(slots=True)
class Settings:
    """The configuration in force: a reload puts another in its place."""

    config: Config
    environ: Mapping[str, str]

    def fallbacks(self) -> Fallbacks:
        """Return what holds where a definition says nothing."""
        return fallbacks_of(self.config)

    def secret(self, name: str) -> str | None:
        """Return the secret that the configuration calls *name*; None if there is none."""
        reference = self.config.secrets.get(name)
        try:
            return None if reference is None else reference.read(self.environ)
        except SchedulerError:
            return None

    def token(self, reference: SecretReference) -> str:
        """Return an account's token as it is now."""
        return reference.read_token(self.environ)


@dataclass(slots=True, kw_only=True)
class Engine:
    """The loops, and the parts of them that starting and stopping needs."""

    loops: list[Loop]
    dispatch: DispatchStep
    reconcile: ReconcileStep
    follow: FollowStep
    upstreams: Upstreams
    listener: Listener | None

    def wake_all(self) -> None:
        """Wake every loop that may have work."""
        for loop in self.loops:
            loop.wakeup.set()


def build_engine(db: Database, settings: Settings, *, clock: Clock, owner: str) -> Engine:
    """Wire the steps of the daemon called *owner* to the database and to each other."""
    config = settings.config
    idle = config.daemon.poll_interval
    timeout = config.daemon.request_timeout
    loops: dict[str, Loop] = {}

    def wake(*names: str) -> Wake:
        """Return what wakes those loops; they need not be built yet."""

        def wake_them() -> None:
            for name in names:
                loops[name].wakeup.set()

        return wake_them

    upstreams = Upstreams(request_timeout=timeout, clock=clock, read_secret=settings.token)
    dispatch = DispatchStep(
        db=db,
        upstreams=upstreams,
        clock=clock,
        owner=owner,
        lease=config.daemon.lease,
        request_timeout=timeout,
        first_look=config.unconfirmed.look_after[0],
        secret=settings.secret,
        wake=wake("dispatch"),
        wake_settled=wake("follow", "reconcile"),
    )
    reconcile = ReconcileStep(
        db=db,
        upstreams=upstreams,
        clock=clock,
        owner=owner,
        look_after=config.unconfirmed.look_after,
        request_timeout=timeout,
        wake_dispatch=wake("dispatch"),
        wake_follow=wake("follow"),
    )
    follow = FollowStep(
        db=db,
        upstreams=upstreams,
        clock=clock,
        owner=owner,
        first_pause=config.follow.first_pause,
        longest_pause=config.follow.longest_pause,
        request_timeout=timeout,
        wake=wake("follow"),
        wake_dispatch=wake("dispatch"),
    )
    steps: dict[str, Step] = {
        "fire": FireStep(
            db=db,
            reader=BatchReader(),
            fallbacks=settings.fallbacks,
            wake_dispatch=dispatch.expect_work,
        ),
        "dispatch": dispatch,
        "reconcile": reconcile,
        "follow": follow,
        "credentials": CredentialsStep(db=db, upstreams=upstreams, wake_dispatch=wake("dispatch")),
    }
    listener = Listener(config.database.url) if db.file is None else None
    if listener is not None:
        steps["listen"] = ListenStep(listener=listener, wake_all=wake("fire", "dispatch"))
    loops |= {name: Loop(name, step, max_idle=idle) for name, step in steps.items()}
    return Engine(
        loops=list(loops.values()),
        dispatch=dispatch,
        reconcile=reconcile,
        follow=follow,
        upstreams=upstreams,
        listener=listener,
    )
