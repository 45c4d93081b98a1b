"""What a month has cost and will cost, by schedule, label, collector or account; budgets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import groupby, islice
from math import ceil
from typing import Final, NamedTuple

from scheduler.domain.budgets import (
    LOADS_UNTIL_KNOWN,
    NO_LOADS,
    Budget,
    Loads,
    Spent,
    loads_of,
    month_of,
    percent_used,
)
from scheduler.domain.definition import timetable_of
from scheduler.domain.errors import InvalidInput
from scheduler.domain.limits import DailyLimits, ScopeKind, Used, day_of
from scheduler.domain.pauses import stop_at, stops_change_at
from scheduler.domain.records import Calendar, ScheduleTimes
from scheduler.domain.timetable import Timetable
from scheduler.storage import budgets, definitions, freezes, runs, schedules, usage
from scheduler.storage.account_questions import Billed
from scheduler.storage.budget_desk import BudgetDesk, covers
from scheduler.storage.budgets import Lately
from scheduler.storage.database import Connection
from scheduler.storage.limits import list_limits
from scheduler.storage.runs import sent
from scheduler.storage.usage import Group
from scheduler.tools.invoice import InvoiceView, read_invoice
from scheduler.tools.lineage import lineage, runs_left
from scheduler.views.budgets import BudgetView, budget_view
from scheduler.views.decoding import read_names

_A_MOMENT: Final = timedelta.resolution

MOST_COUNTED: Final = 5_000
"""So many occurrences of a schedule are looked at; of one that has more the rest is reckoned."""
_MOST_IN_ALL: Final = 12_000
"""So many of all schedules are: of more, each stands for several, evenly spread."""

BY_HAND: Final = "(by hand)"
UNLABELLED: Final = "(no label)"


class CostsBy(StrEnum):
    """What costs are added up by; a run with several labels counts for each."""

    SCHEDULE = "schedule"
    LABEL = "label"
    COLLECTOR = "collector"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """
    What a month comes to for *name*: what was accepted and ended in it, and what is to come.

    Of runs that have not ended, and of those that are due until the month's end, page loads are
    forecast: so many for each input as of late. Money is None where no account has a price.
    """

    name: str
    run_count: int
    input_count: int
    page_loads: int
    money: float | None
    forecast_run_count: int
    forecast_page_loads: int
    forecast_money: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetForecast:
    """
    A budget, and what the month comes to in the end, what is used and to come together.

    *spent_at* is when it will be used up; None if it will not, or has been before.
    """

    budget: BudgetView
    forecast_page_loads: int
    forecast_money: float
    forecast_percent: float
    spent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsView:
    """
    What *month*, in UTC, comes to; *total* counts each run once. *budgets* are this month's.

    *invoice* is what the upstream says that it bills, where it is asked.
    """

    month: str
    by: CostsBy
    lines: tuple[CostLine, ...]
    total: CostLine
    budgets: tuple[BudgetForecast, ...]
    invoice: InvoiceView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """What a schedule will send: *at* these moments, each with *inputs*, each of *loads*."""

    account: str
    collector: str
    schedule: str | None
    labels: str | None
    at: Sequence[datetime]
    inputs: float
    loads: Loads
    scale: float

    @property
    def count(self) -> int:
        """Return how many there are: of very many the first were looked at, *scale* times less."""
        return round(len(self.at) * self.scale)

    @property
    def loads_at_once(self) -> Loads:
        """Return what one of the moments stands for."""
        return Loads(pages=self.loads.pages * self.scale, money=self.loads.money * self.scale)

    @property
    def all_loads(self) -> Loads:
        """Return what all of them come to together."""
        return Loads(pages=self.loads.pages * self.count, money=self.loads.money * self.count)


def read_costs(
    conn: Connection, *, month: str | None = None, by: CostsBy = CostsBy.SCHEDULE, now: datetime
) -> CostsView:
    """Return what *month* (`2026-11`), this one by default, has cost and will; or InvalidInput."""
    start, end = _span(month or month_of(now))
    desk = BudgetDesk(conn, now)
    is_now = start <= now < end
    groups = (
        desk.ended
        if is_now
        else usage.list_groups(conn, since=f"{start:%Y-%m-%d}", until=f"{end:%Y-%m-%d}")
    )
    coming = list_coming(
        conn,
        list_planned(conn),
        since=max(now, start - _A_MOMENT),
        until=end - _A_MOMENT,
        now=now,
        lately=desk.lately,
    )
    parts = [
        *(_past(group, desk.prices) for group in groups),
        *(_pending(group, desk) for group in (desk.on_the_way if is_now else ())),
        *(_to_come(each) for each in coming),
    ]
    lines: dict[str, list[_Line]] = {}
    for part in parts:
        for name in _names(part, by):
            lines.setdefault(name, []).append(part.line)
    total = _sum(part.line for part in parts)
    has_prices = bool(desk.prices)
    return CostsView(
        month=f"{start:%Y-%m}",
        by=by,
        lines=tuple(_shown(name, _sum(lines[name]), has_prices) for name in sorted(lines)),
        total=_shown("total", total, has_prices),
        budgets=tuple(forecast_budgets(desk, coming)) if is_now else (),
        invoice=read_invoice(conn, f"{start:%Y-%m}", partial(_names_of, by=by)),
    )


def _names_of(billed: Billed, *, by: CostsBy) -> Sequence[str]:
    """Return what a run that was billed is added up under."""
    match by:
        case CostsBy.LABEL:
            return read_names(billed.labels) or (UNLABELLED,)
        case CostsBy.SCHEDULE:
            return (billed.schedule or BY_HAND,)
        case CostsBy.COLLECTOR:
            return (billed.collector or billed.subject,)
        case CostsBy.ACCOUNT:
            return (billed.account,)


def forecast_budgets(desk: BudgetDesk, coming: Sequence[Coming]) -> Iterator[BudgetForecast]:
    """Yield each budget with what is to come of what it covers."""
    for budget in desk.budgets:
        covered = [each for each in coming if covers(budget.covers, each)]
        spent = desk.spent(budget)
        whole = sum((each.all_loads for each in covered), spent.whole)
        yield BudgetForecast(
            budget=budget_view(budget, spent, desk.month),
            forecast_page_loads=round(whole.pages),
            forecast_money=round(whole.money, 2),
            forecast_percent=round(percent_used(budget, whole), 1),
            spent_at=_spent_at(budget, spent, covered),
        )


def _spent_at(budget: Budget, spent: Spent, coming: Iterable[Coming]) -> datetime | None:
    used = spent.whole
    if percent_used(budget, used) >= 100:
        return None
    for at, loads in sorted(
        ((at, each.loads_at_once) for each in coming for at in each.at), key=lambda pair: pair[0]
    ):
        used += loads
        if percent_used(budget, used) > 100:
            return at
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A schedule that may fire, with those it comes after, and whose account sends it."""

    schedule: ScheduleTimes
    line: Sequence[ScheduleTimes]
    account: str


def list_planned(conn: Connection) -> list[Planned]:
    """Return the schedules that have times to come."""
    everything = {row.name: row for row in schedules.list_times(conn)}
    account_of = definitions.accounts_of_collectors(conn)
    planned = []
    for schedule in everything.values():
        try:
            line = lineage(schedule, everything)
        except InvalidInput:
            continue
        if all(row.enabled and row.error is None for row in line):
            account = account_of.get(schedule.collector, "")
            planned.append(Planned(schedule=schedule, line=line, account=account))
    return planned


def list_coming(
    conn: Connection,
    planned: Sequence[Planned],
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    calendars: Mapping[str, Calendar] | None = None,
    sizes: Mapping[str, int] | None = None,
    lately: Lately | None = None,
) -> list[Coming]:
    """
    Return what is due between two moments; MOST_COUNTED occurrences of a schedule are looked at.

    *sizes* are how many inputs batches have, where that is known better than by what was sent
    *lately*.
    """
    if until <= since:
        return []
    if calendars is None:
        calendars = definitions.list_calendars(conn)
    frozen = freezes.list_freezes(conn)
    limited = [each.schedule.name for each in planned if each.schedule.max_runs is not None]
    made = runs.count_made(conn, limited)
    estimate = Estimate(
        lately=lately or budgets.read_lately(conn, now=now), prices=budgets.list_prices(conn)
    )
    most = min(MOST_COUNTED, max(1, _MOST_IN_ALL // max(1, len(planned))))
    evenly = [since + (until - since) * ((place + 0.5) / most) for place in range(most)]
    cautious = [each.schedule.name for each in planned if each.schedule.only_if_changed]
    changed = sent.list_changed_shares(conn, cautious, since=now - timedelta(days=30))
    shared = [one for one in list_limits(conn) if one.scope.kind is not ScopeKind.SCHEDULE]
    coming: list[Coming] = []
    for each in planned:
        try:
            timetable = timetable_of(each.line[-1], calendars)
        except InvalidInput:
            continue
        seen, scale = _moments(timetable, _most_a_day(each, shared), since, until, evenly)
        stopped = [member for member in each.line if stops_change_at(member, frozen)]
        at = (
            seen
            if not stopped
            else [
                moment
                for moment in seen
                if not any(stop_at(moment, member, frozen) for member in stopped)
            ]
        )
        left = runs_left(each.line, made)
        at = at if left is None else at[: ceil(left / scale)]
        if at:
            size = (sizes or {}).get(each.schedule.batch)
            scale *= changed.get(each.schedule.name, 1.0)
            coming.append(estimate.coming(each, at, size, scale=scale))
    for limits in shared:
        used = usage.read_used(conn, limits.scope, now=now, since=now)
        coming = _within(coming, limits, used, today=day_of(now))
    return coming


def _within(
    coming: Sequence[Coming], limits: DailyLimits, used: Used, *, today: str
) -> list[Coming]:
    """Leave out what a day's limit of several schedules does: the first of each day stay."""
    sent = {today: (float(used.runs), float(used.inputs))}
    allowed = (limits.max_runs_per_day, limits.max_inputs_per_day)
    covered = [place for place, each in enumerate(coming) if covers(limits.scope, each)]
    kept: dict[int, list[datetime]] = {place: [] for place in covered}
    for at, place in sorted((at, number) for number in covered for at in coming[number].at):
        each, day = coming[place], day_of(at)
        runs, inputs = sent.get(day, (0.0, 0.0))
        # What stands for less than a run may end beyond.
        whole = each.scale if each.scale >= 1 else 0.0
        met = (runs + whole, inputs + whole * each.inputs)
        if all(most is None or count <= most for count, most in zip(met, allowed, strict=True)):
            sent[day] = (runs + each.scale, inputs + each.scale * each.inputs)
            kept[place].append(at)
    return [replace(each, at=kept.get(place, each.at)) for place, each in enumerate(coming)]


def _most_a_day(planned: Planned, shared: Iterable[DailyLimits]) -> int | None:
    """Return how many runs a day the schedule, its collector and its account allow."""
    collector, account = planned.schedule.collector, planned.account
    kinds = ((ScopeKind.COLLECTOR, collector), (ScopeKind.ACCOUNT, account))
    allowed = [one.max_runs_per_day for one in shared if (one.scope.kind, one.scope.name) in kinds]
    every = (*allowed, planned.schedule.max_runs_per_day)
    return min((most for most in every if most is not None), default=None)


def _moments(
    timetable: Timetable,
    most_a_day: int | None,
    since: datetime,
    until: datetime,
    evenly: Sequence[datetime],
) -> tuple[Sequence[datetime], float]:
    """
    Return when a schedule is due, but for what is beyond *most_a_day*, and what each stands for.

    Of more they are the moments that are spread *evenly*, where they can be counted without a
    look at each; else the first of them, as if it went on like that.
    """
    most = len(evenly)
    count = timetable.count(since, until)
    if count is None or count <= most:
        seen = list(islice(timetable.occurrences(since, until), most))
        is_whole = len(seen) < most or count == most
        scale = 1.0 if is_whole else (until - since) / (seen[-1] - since)
        return _within_days(most_a_day, seen), scale
    days = (until - since) / timedelta(days=1)
    whole = count if most_a_day is None else min(count, ceil(most_a_day * max(days, 1)))
    return evenly, whole / most


def _within_days(most: int | None, at: Sequence[datetime]) -> list[datetime]:
    """Return the first of each day."""
    if most is None:
        return list(at)
    days = groupby(at, key=day_of)
    return [moment for _, of_day in days for moment in islice(of_day, most)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How many inputs and page loads a run of a schedule has, as of late."""

    lately: Lately
    prices: Mapping[str, float]

    def coming(
        self, planned: Planned, at: Sequence[datetime], size: int | None, *, scale: float
    ) -> Coming:
        """Return what a schedule will send at these moments, *size* inputs each if it is known."""
        schedule = planned.schedule
        inputs = size or self.lately.inputs_per_run.get(schedule.name, LOADS_UNTIL_KNOWN)
        each = self.lately.loads.of(
            schedule=schedule.name, collector=schedule.collector, account=planned.account
        )
        return Coming(
            account=planned.account,
            collector=schedule.collector,
            schedule=schedule.name,
            labels=schedule.labels,
            at=at,
            inputs=inputs,
            loads=loads_of(inputs * each, self.prices.get(planned.account)),
            scale=scale,
        )


class _Line(NamedTuple):
    runs: int = 0
    inputs: int = 0
    loads: Loads = NO_LOADS
    more_runs: int = 0
    more: Loads = NO_LOADS


class _Part(NamedTuple):
    of: Group | Coming
    line: _Line


def _past(group: Group, prices: Mapping[str, float]) -> _Part:
    loads = loads_of(group.pages, prices.get(group.account))
    return _Part(of=group, line=_Line(runs=group.runs, inputs=group.inputs, loads=loads))


def _pending(group: Group, desk: BudgetDesk) -> _Part:
    return _Part(of=group, line=_Line(more=desk.expected(group, group.inputs)))


def _to_come(each: Coming) -> _Part:
    return _Part(of=each, line=_Line(more_runs=each.count, more=each.all_loads))


def _names(part: _Part, by: CostsBy) -> Sequence[str]:
    match by:
        case CostsBy.LABEL:
            return read_names(part.of.labels) or (UNLABELLED,)
        case CostsBy.SCHEDULE:
            return (part.of.schedule or BY_HAND,)
        case CostsBy.COLLECTOR:
            return (part.of.collector,)
        case CostsBy.ACCOUNT:
            return (part.of.account,)


def _sum(lines: Iterable[_Line]) -> _Line:
    runs = inputs = more_runs = 0
    pages = money = more_pages = more_money = 0.0
    for line in lines:
        runs, inputs, more_runs = runs + line.runs, inputs + line.inputs, more_runs + line.more_runs
        pages, money = pages + line.loads.pages, money + line.loads.money
        more_pages, more_money = more_pages + line.more.pages, more_money + line.more.money
    return _Line(
        runs=runs,
        inputs=inputs,
        loads=Loads(pages=pages, money=money),
        more_runs=more_runs,
        more=Loads(pages=more_pages, money=more_money),
    )


def _shown(name: str, line: _Line, has_prices: bool) -> CostLine:
    whole = line.loads + line.more
    return CostLine(
        name=name,
        run_count=line.runs,
        input_count=line.inputs,
        page_loads=round(line.loads.pages),
        money=round(line.loads.money, 2) if has_prices else None,
        forecast_run_count=line.more_runs,
        forecast_page_loads=round(whole.pages),
        forecast_money=round(whole.money, 2) if has_prices else None,
    )


def _span(month: str) -> tuple[datetime, datetime]:
    try:
        start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    except ValueError:
        raise InvalidInput(f"{month!r} is not a month, such as 2026-11") from None
    return start, end
