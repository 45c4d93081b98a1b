"""What a schedule with `after` depends on: the schedules before it, and the runs they have left."""

from collections.abc import Mapping, Sequence

from scheduler.domain.errors import InvalidInput
from scheduler.domain.records import ScheduleTimes


def lineage(schedule: ScheduleTimes, schedules: Mapping[str, ScheduleTimes]) -> list[ScheduleTimes]:
    """
    Return the schedule, the one that it comes after, and so on, up to one that comes after none.

    Raises InvalidInput where one of them is not there, or comes after itself.
    """
    line = [schedule]
    while (after := line[-1].after) is not None:
        if after not in schedules or any(member.name == after for member in line):
            raise InvalidInput(f"schedule {line[-1].name!r} comes after {after!r}, in vain")
        line.append(schedules[after])
    return line


def runs_left(line: Sequence[ScheduleTimes], made: Mapping[str, int]) -> int | None:
    """Return how many runs `max_runs` of each still allows; None where none has a limit."""
    left = [
        max(0, member.max_runs - made.get(member.name, 0))
        for member in line
        if member.max_runs is not None
    ]
    return min(left, default=None)
