"""How one sandbox behaves: its account, its pace, its limits and the faults it starts with."""

from dataclasses import dataclass
from datetime import timedelta

from scheduler.sandbox.fault_plan import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxCollector:
    """A collector of the account and the input schema that 422 answers are judged by."""

    id: str
    name: str = ""
    # A real-time scraper refuses every batch trigger with 400 (DCA, 1).
    real_time: bool = False
    required_fields: frozenset[str] = frozenset({"url"})
    # None allows any further field.
    optional_fields: frozenset[str] | None = None
    # As the vendor's own, which "was seen" in its list (DCA, 3); nothing is started by it here.
    schedule_frequency: str | None = None
    schedule_start: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """
    Everything that can be set; the defaults follow the document where it names a number.

    Without *tokens* any well-formed Bearer token is good; without *collectors* any id that begins
    with `c_` is known and takes any input. *spread* varies the pace from job to job by up to that
    fraction, always the same way for the same *seed*.
    """

    tokens: frozenset[str] = frozenset()
    suspended_tokens: frozenset[str] = frozenset()
    collectors: tuple[SandboxCollector, ...] = ()

    build_time: timedelta = timedelta(seconds=1)
    time_per_input: timedelta = timedelta(seconds=1)
    spread: float = 0.0
    seed: int = 0

    job_limit: int = 100
    # None: no throttling.
    requests_per_window: int | None = None
    window: timedelta = timedelta(seconds=1)
    # Whole seconds in the Retry-After header of a throttled answer; None leaves it out.
    retry_after: int | None = None
    block_rule: bool = True

    # "A row may carry `name`, do not count on it" (DCA, 2).
    jobs_carry_name: bool = False
    # Billed is each page load, a day late (DCA, 3); the balance falls by it. None: no such right.
    price_per_thousand: float = 1.5
    balance: float | None = 100.0
    faults: tuple[Fault, ...] = ()
    # Requests remembered by /sandbox/log; jobs are always kept.
    log_limit: int = 100_000
