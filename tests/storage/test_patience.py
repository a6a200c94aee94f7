"""The line in front of a database, the tries, and the steps that go on alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tornado_auth.errors import StorageUnavailable
from tornado_auth.storage.patience import Errors, Steps, Turns, persist


class Trouble(Exception):
    """What the database of these tests raises."""


class Passing(Trouble):
    """Over in a while."""


class Broken(Trouble):
    """Over at once."""


class Unsent(Passing):
    """The write was not heard of."""


ERRORS = Errors(
    kind=Trouble,
    may_pass=lambda error: isinstance(error, Passing | Broken),
    broke_the_connection=lambda error: isinstance(error, Broken),
    came_before=lambda error: isinstance(error, Unsent),
)


def failing(*errors: type[Exception]) -> tuple[Callable[[int], Awaitable[str]], list[int]]:
    """Return an attempt that fails so often and then succeeds, and what it is called with."""
    left, calls = list(errors), []

    async def attempt(unknown: int) -> str:
        calls.append(unknown)
        if left:
            raise left.pop(0)
        return "done"

    return attempt, calls


async def test_so_many_run_at_once_and_the_rest_in_order() -> None:
    turns = Turns("The database", running=2, waiting=10)
    running, most, order = 0, 0, []

    async def operation(number: int) -> None:
        nonlocal running, most
        async with turns.turn():
            running += 1
            most = max(most, running)
            order.append(number)
            await asyncio.sleep(0.001)
            running -= 1

    await asyncio.gather(*(operation(number) for number in range(12)))
    assert most == 2
    assert order == list(range(12))


async def test_who_would_make_the_line_too_long_is_turned_away_at_once() -> None:
    turns = Turns("The database", running=1, waiting=2)
    over = asyncio.Event()

    async def operation() -> None:
        async with turns.turn():
            await over.wait()

    operations = [asyncio.ensure_future(operation()) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable, match="3 operations wait"):
        await operation()
    operations[1].cancel()  # one that waits
    operations[0].cancel()  # the one that runs
    await asyncio.sleep(0.001)
    operations += [asyncio.ensure_future(operation()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StorageUnavailable):
        await operation()
    over.set()
    outcomes = await asyncio.gather(*operations, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(asyncio.CancelledError) == 2
    await operation()


async def test_with_patience_an_attempt_is_made_until_it_succeeds() -> None:
    attempt, calls = failing(Passing, Broken, Passing)
    assert await persist(attempt, ERRORS, patience=5) == "done"
    assert calls == [0, 1, 2, 3]


async def test_an_attempt_that_was_not_heard_of_is_not_in_doubt() -> None:
    attempt, calls = failing(Unsent, Passing, Unsent)
    await persist(attempt, ERRORS, patience=5)
    assert calls == [0, 0, 1, 1]


async def test_patience_ends() -> None:
    attempt, calls = failing(*[Passing] * 100)
    loop = asyncio.get_running_loop()
    started = loop.time()
    with pytest.raises(Passing):
        await persist(attempt, ERRORS, patience=0.3)
    assert loop.time() - started < 1
    assert 3 <= len(calls) <= 5  # at 0, 0, 0.05 and 0.2 seconds


async def test_what_does_not_pass_is_raised_at_once() -> None:
    attempt, calls = failing(Broken, Trouble)
    with pytest.raises(Trouble):
        await persist(attempt, ERRORS, patience=5)
    assert calls == [0, 1]
    attempt, calls = failing(KeyError)
    with pytest.raises(KeyError):
        await persist(attempt, ERRORS, patience=5)
    assert calls == [0]


async def test_without_patience_only_a_broken_connection_gets_a_second_attempt() -> None:
    for errors, expected in (((Broken,), [0, 1]), ((Passing,), [0]), ((Broken, Broken), [0, 1])):
        attempt, calls = failing(*errors)
        if errors == (Broken,):
            assert await persist(attempt, ERRORS, patience=0) == "done"
        else:
            with pytest.raises(Trouble):
                await persist(attempt, ERRORS, patience=0)
        assert calls == expected


async def test_a_step_goes_on_when_its_caller_is_cancelled() -> None:
    steps, over = Steps(5), asyncio.Event()
    done = []

    async def step() -> None:
        await over.wait()
        done.append("step")
        raise Trouble

    caller = asyncio.ensure_future(steps.finish(step()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait({caller})
    assert caller.cancelled()
    asyncio.get_running_loop().call_later(0.01, over.set)
    await steps.settle()
    assert done == ["step"]


async def test_a_step_that_takes_too_long_is_given_up() -> None:
    steps = Steps(0.02)
    step = asyncio.ensure_future(asyncio.sleep(60))
    with pytest.raises(TimeoutError):
        await steps.finish(step)
    await steps.settle()
    assert not step.done()
    step.cancel()
    await asyncio.sleep(0)
    await Steps(0.02).settle()
