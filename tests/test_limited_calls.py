import asyncio
import sys
import threading
import time
from collections.abc import Generator
from contextvars import ContextVar

import pytest
from tornado import gen

from tornado_auth.limited_calls import LimitedCalls


async def test_a_tornado_coroutine_runs_on_the_loop() -> None:
    @gen.coroutine
    def double(number: int) -> Generator[object, object, object]:
        yield gen.sleep(0.001)
        return (number * 2, threading.current_thread() is threading.main_thread())

    assert await LimitedCalls(1).call(double, 21) == (42, True)


async def test_what_a_plain_function_returns_is_awaited() -> None:
    async def later(number: int) -> int:
        await asyncio.sleep(0.001)
        return number

    assert await LimitedCalls(1).call(lambda: later(7)) == 7


async def test_a_coroutine_that_ignores_its_cancellation_holds_up_nobody() -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    calls = LimitedCalls(0.05)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await calls.call(stubborn)
    assert time.monotonic() - began < 1
    assert len(calls._overdue) == 1
    released.set()
    await calls.close()
    assert not calls._overdue


async def test_calls_beyond_the_limit_wait_for_a_thread() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    calls = LimitedCalls(5, limit=3)
    await asyncio.gather(*(calls.call(work) for _ in range(12)))
    assert most == 3


async def test_hung_threads_leave_the_default_executor_alone_and_are_bounded() -> None:
    released = threading.Event()
    started: list[int] = []

    def hang() -> None:
        started.append(1)
        released.wait(30)

    calls = LimitedCalls(0.1, limit=4)
    answers = await asyncio.gather(*(calls.call(hang) for _ in range(9)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError] * 9
    assert len(started) == 4
    with pytest.raises(TimeoutError, match="4 earlier calls"):  # at once
        await calls.call(hang)
    assert await asyncio.to_thread(lambda: "free") == "free"
    released.set()
    for _ in range(200):
        if not calls._overdue:
            break
        await asyncio.sleep(0.01)
    assert await calls.call(lambda: "back") == "back"
    assert len(started) == 4


async def test_a_hung_thread_does_not_hold_up_the_end_of_the_process() -> None:
    source = (
        "import asyncio, contextlib, time\n"
        "from tornado_auth.limited_calls import LimitedCalls\n"
        "async def main():\n"
        "    with contextlib.suppress(TimeoutError):\n"
        "        await LimitedCalls(0.05).call(time.sleep, 60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", source)
    assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_a_late_answer_to_a_closed_loop_is_dropped() -> None:
    late = threading.Event()

    def in_another_loop() -> LimitedCalls:
        calls = LimitedCalls(0.02)
        with pytest.raises(TimeoutError):
            asyncio.run(calls.call(late.wait, 10))
        return calls

    calls = await asyncio.to_thread(in_another_loop)
    late.set()
    for thread in threading.enumerate():
        if thread.name == "tornado-auth-call":
            await asyncio.to_thread(thread.join, 5)
    assert len(calls._overdue) == 1


async def test_a_failure_after_the_time_limit_is_nobodys(caplog: pytest.LogCaptureFixture) -> None:
    async def late() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ValueError

    calls = LimitedCalls(0.02)
    with pytest.raises(TimeoutError):
        await calls.call(late)
    await calls.close()
    assert not caplog.records


async def test_a_machine_without_threads_left_gets_the_slot_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    calls = LimitedCalls(0.2, limit=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError, match="can't start"):
            await calls.call(time.monotonic)
    assert await calls.call(lambda: "here") == "here"


async def test_a_plain_function_sees_the_context_of_its_caller() -> None:
    request_id: ContextVar[str] = ContextVar("request_id")
    request_id.set("r1")
    assert await LimitedCalls(1).call(request_id.get) == "r1"
