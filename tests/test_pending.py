"""A value that comes later, for the one who waits for it."""

import asyncio

import pytest

from tornado_auth.errors import StorageUnavailable
from tornado_auth.pending import Pending


def test_who_waits_is_called_at_once() -> None:
    pending: Pending[int] = Pending()
    told: list[int] = []
    pending.add_done_callback(lambda done: told.append(done.result()))
    assert not pending.done()
    pending.set_result(5)
    assert pending.done()
    assert told == [5]


def test_what_went_wrong_is_raised() -> None:
    pending: Pending[int] = Pending()
    pending.set_exception(StorageUnavailable("away"))
    assert pending.done()
    with pytest.raises(StorageUnavailable, match="away"):
        pending.result()


async def test_it_can_be_awaited_before_and_after() -> None:
    pending: Pending[int] = Pending()
    asyncio.get_running_loop().call_soon(pending.set_result, 5)
    assert await pending == 5
    assert await pending == 5
    failing: Pending[int] = Pending()
    asyncio.get_running_loop().call_soon(failing.set_exception, StorageUnavailable("away"))
    with pytest.raises(StorageUnavailable):
        await failing


async def test_who_waits_may_go_away() -> None:
    pending: Pending[int] = Pending()

    async def wait() -> int:
        return await pending

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    pending.set_result(5)
    assert pending.result() == 5


# The last one stands for a panic of a library in Rust, which is no Exception either.
@pytest.mark.parametrize(
    "fault", [ZeroDivisionError(), asyncio.CancelledError(), BaseException()], ids=repr
)
async def test_a_fault_of_who_waits_is_reported_and_not_the_tellers(fault: BaseException) -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    pending: Pending[int] = Pending()

    def fail(_: Pending[int]) -> None:
        raise fault

    pending.add_done_callback(fail)
    pending.set_result(5)
    assert [context["exception"] for context in reported] == [fault]


def test_only_one_may_wait_and_not_for_what_is_there() -> None:
    pending: Pending[int] = Pending()
    pending.add_done_callback(print)
    with pytest.raises(RuntimeError, match="somebody waits already"):
        pending.add_done_callback(print)
    pending.set_result(5)
    with pytest.raises(RuntimeError, match="done already"):
        pending.add_done_callback(print)
