"""What many ask for at once is read once, and never before they asked."""

import asyncio

import pytest

from scheduler.web.lately import Lately


def test_who_asks_while_one_reads_waits_for_the_next_which_reads_for_all() -> None:
    begun: list[int] = []
    begins = [asyncio.Event() for _ in range(3)]
    go_on = asyncio.Event()

    async def read() -> int:
        begins[len(begun)].set()
        begun.append(len(begun) + 1)
        await go_on.wait()
        return begun[-1]

    async def ask() -> list[int]:
        lately = Lately()
        first = asyncio.create_task(lately.together("page", read))
        await begins[0].wait()
        later = [asyncio.create_task(lately.together("page", read)) for _ in range(5)]
        other = asyncio.create_task(lately.together("other", read))
        await begins[1].wait()
        # Who goes away takes the answer from nobody.
        later[0].cancel()
        go_on.set()
        await asyncio.wait([first, *later, other])
        return [task.result() for task in (first, other, *later[1:])]

    first, other, *later = asyncio.run(ask())

    assert (first, other) == (2, 2)  # what is read is of when it ends
    assert later == [3] * 4
    assert begun == [1, 2, 3]


def test_an_error_is_told_to_all_who_waited_and_the_next_reads_anew() -> None:
    async def fail() -> int:
        raise LookupError

    async def succeed() -> int:
        return 1

    async def ask() -> int:
        lately = Lately()
        tasks = [asyncio.create_task(lately.together("page", fail)) for _ in range(2)]
        await asyncio.wait(tasks)
        assert [type(task.exception()) for task in tasks] == [LookupError] * 2
        found: int = await lately.together("page", succeed)
        return found

    assert asyncio.run(ask()) == 1


@pytest.mark.parametrize("how", ["ask", "together"])
def test_what_was_read_before_a_change_is_told_to_nobody_after_it(how: str) -> None:
    stored = [1]

    async def read() -> int:
        return stored[0]

    async def ask() -> list[int]:
        lately = Lately()
        found = [await getattr(lately, how)("page", read)]
        stored[0] = 2
        lately.forget()
        return [*found, await getattr(lately, how)("page", read)]

    assert asyncio.run(ask()) == [1, 2]
