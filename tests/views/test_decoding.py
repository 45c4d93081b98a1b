"""What is shown is whole, decoded, and the same in every place."""

from dataclasses import dataclass, fields
from typing import Any

import pytest

from scheduler.domain.pauses import Freeze
from scheduler.domain.records import Account, Attempt, Batch, Collection, Collector, Run, Schedule
from scheduler.domain.schedule_override import Override
from scheduler.storage.daemons import Daemon
from scheduler.storage.definitions import Queue
from scheduler.views.accounts import AccountView
from scheduler.views.batches import BatchView
from scheduler.views.collectors import CollectorView
from scheduler.views.decoding import Duration, read_json, read_names
from scheduler.views.json_document import json_value
from scheduler.views.queues import QueueView
from scheduler.views.runs import AttemptView, CollectionView, RunView
from scheduler.views.schedules import FreezeView, OverrideView, ScheduleView
from scheduler.views.status import DaemonView


@dataclass(frozen=True)
class Lasting:
    lasting: Duration


INTERNAL = {
    *(
        "lease_owner",
        "lease_until",
        "fence",
        "lookups",
    ),  # of runs and collections
}


@pytest.mark.parametrize(
    ("view", "record"),
    [
        (AccountView, Account),
        (AttemptView, Attempt),
        (BatchView, Batch),
        (CollectionView, Collection),
        (CollectorView, Collector),
        (DaemonView, Daemon),
        (FreezeView, Freeze),
        (OverrideView, Override),
        (QueueView, Queue),
        (RunView, Run),
        (ScheduleView, Schedule),
    ],
)
def test_a_view_leaves_out_nothing_that_a_person_may_want_to_know(
    view: type[Any], record: type[Any]
) -> None:
    stored = {field.name for field in fields(record)}

    assert stored - {field.name for field in fields(view)} <= INTERNAL


def test_a_duration_is_told_as_it_was_written_and_in_seconds() -> None:
    assert (str(Duration("1h30m")), Duration("1h30m").seconds) == ("1h30m", 5400)
    assert Duration("soon").seconds is None


@pytest.mark.parametrize(
    ("text", "value"), [(None, None), ('{"a": [1]}', {"a": [1]}), ("{torn", "{torn")]
)
def test_a_column_of_json_is_told_as_what_it_holds_or_as_it_stands(
    text: str | None, value: object
) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    ("text", "names"), [(None, ()), (",shop,night,", ("shop", "night")), ("a, b", ("a", "b"))]
)
def test_names_between_commas_are_a_list(text: str | None, names: tuple[str, ...]) -> None:
    assert read_names(text) == names


def test_what_has_a_duration_tells_its_seconds_beside_it() -> None:
    assert json_value(Lasting(Duration("2m"))) == {"lasting": "2m", "lasting_seconds": 120}


@dataclass(frozen=True)
class MaybeLasting:
    lasting: Duration | None


def test_a_key_in_seconds_is_there_also_where_there_is_no_duration() -> None:
    assert json_value(MaybeLasting(Duration("1m"))) == {"lasting": "1m", "lasting_seconds": 60.0}
    assert json_value(MaybeLasting(None)) == {"lasting": None, "lasting_seconds": None}
