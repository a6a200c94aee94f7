"""The selector that lets checks go first: by itself, and with the sockets in front of Tornado.

Every loop of this file has one, so the imported tests say that all else stays as it was.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, SelectorKey
from typing import Any

import pytest
from tornado.platform.asyncio import AsyncIOLoop

from tests.fast_path.conftest import HALF, MakeWire, front_of, plain, until
from tests.fast_path.test_connections import TestOrder, TestSlowReaders, TestTheFarEnd, full
from tests.fast_path.test_hand_over import TestKeepAlive
from tests.fast_path.test_stopping import TestMany, TestTheEnd
from tests.security.wire import Wire
from tests.service import Service, ServiceFactory
from tornado_auth.fast_path import ChecksFirst, Front
from tornado_auth.scheduling import give_way

__all__ = [
    "TestKeepAlive",
    "TestMany",
    "TestOrder",
    "TestSlowReaders",
    "TestTheEnd",
    "TestTheFarEnd",
    "full",
]

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def selector(monkeypatch: pytest.MonkeyPatch) -> ChecksFirst:
    """The selector of the test's loop."""
    selector = ChecksFirst()
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: asyncio.SelectorEventLoop(selector))
    return selector


@pytest.fixture
def io_loop(selector: ChecksFirst, io_loop: AsyncIOLoop) -> AsyncIOLoop:
    return io_loop


@pytest.fixture
def make_service(selector: ChecksFirst, make_service: ServiceFactory) -> ServiceFactory:
    async def make(**arguments: Any) -> Service:
        service = await make_service(**arguments)
        if isinstance(service.listener, Front):
            service.listener.selector = selector
        return service

    return make


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Sockets that are connected to each other, of which none blocks."""
    pairs = [socket.socketpair() for _ in range(4)]
    for sock in (sock for pair in pairs for sock in pair):
        sock.setblocking(False)
    yield pairs
    for sock in (sock for pair in pairs for sock in pair):
        sock.close()


def own(selector: ChecksFirst) -> list[SelectorKey]:
    """Return what the loop does not know of."""
    return [key for key in selector.get_map().values() if type(key.data) is not tuple]


def reading(sock: socket.socket, name: str, done: list[str]) -> Callable[[], None]:
    """Read, and return what answers; each says in `done` that it was called."""
    sock.recv(1)
    done.append(f"read {name}")
    return partial(done.append, f"answer {name}")


def failing(sock: socket.socket, error: BaseException) -> None:
    sock.recv(1)
    raise error


class TestChecksFirst:
    @pytest.mark.parametrize(
        ("is_first", "order"),
        [(True, ["step", "check", "step", "step"]), (False, ["step", "step", "check", "step"])],
    )
    async def test_a_check_goes_before_whoever_is_ready(
        self, selector: ChecksFirst, pairs: list[Pair], is_first: bool, order: list[str]
    ) -> None:
        near, far = pairs[0]
        done = []

        def check() -> None:
            near.recv(1)
            done.append("check")

        if is_first:
            selector.register(near, EVENT_READ, check)
        else:
            asyncio.get_running_loop().add_reader(near, check)
        for step in range(3):
            done.append("step")
            if step == 0:
                far.send(b"?")
            await give_way()
        assert done == order

    async def test_all_that_came_together_is_read_before_the_first_is_answered(
        self, selector: ChecksFirst, pairs: list[Pair]
    ) -> None:
        *checked, (reader, its_far) = pairs
        done: list[str] = []
        loop = asyncio.get_running_loop()
        loop.add_reader(reader, done.append, "the loop's own")
        for name, (near, far) in zip("abc", checked, strict=True):
            selector.register(near, EVENT_READ, partial(reading, near, name, done))
            far.send(b"?")
        its_far.send(b"?")
        for _ in range(2):
            await give_way()
        loop.remove_reader(reader)
        assert sorted(done[:3]) == ["read a", "read b", "read c"]
        assert done[3:6] == [read.replace("read", "answer") for read in done[:3]]
        assert done[6:] == ["the loop's own"]

    async def test_nobody_waits_until_hundreds_are_read(
        self, selector: ChecksFirst, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tornado_auth.fast_path.selector.TOGETHER", 3)
        done: list[str] = []
        for near, far in pairs:
            selector.register(near, EVENT_READ, partial(reading, near, "one", done))
            far.send(b"?")
        await give_way()
        assert done == ["read one"] * 3 + ["answer one"] * 3 + ["read one", "answer one"]

    async def test_an_error_of_one_answer_reaches_the_loop_and_stops_no_other(
        self, selector: ChecksFirst, pairs: list[Pair]
    ) -> None:
        loop = asyncio.get_running_loop()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: told.append(context))
        (failed, its_far), *others = pairs
        error = ValueError("answer")
        done: list[str] = []
        selector.register(failed, EVENT_READ, lambda: partial(failing, failed, error))
        its_far.send(b"?")
        for near, far in others:
            selector.register(near, EVENT_READ, partial(reading, near, "one", done))
            far.send(b"?")
        await give_way()
        assert done == ["read one"] * 3 + ["answer one"] * 3
        assert [context["exception"] for context in told] == [error]

    async def test_a_check_wakes_a_loop_that_waits(
        self, selector: ChecksFirst, pairs: list[Pair]
    ) -> None:
        near, far = pairs[0]
        loop = asyncio.get_running_loop()
        read: asyncio.Future[bytes] = loop.create_future()
        selector.register(near, EVENT_READ, lambda: read.set_result(near.recv(1)))
        loop.call_later(0.01, far.send, b"?")
        assert await asyncio.wait_for(read, 5) == b"?"

    async def test_the_loops_own_readers_and_writers_are_called_beside_it(
        self, selector: ChecksFirst, pairs: list[Pair]
    ) -> None:
        (near, far), (reader, its_far), (writer, _), (both, _) = pairs
        loop = asyncio.get_running_loop()
        called: set[str] = set()
        selector.register(near, EVENT_READ, partial(called.add, "check"))
        loop.add_reader(reader, called.add, "reader")
        loop.add_writer(writer, called.add, "writer")
        loop.add_reader(both, called.add, "never")
        loop.add_writer(both, called.add, "the writer of both")
        far.send(b"?")
        its_far.send(b"?")
        await until(lambda: len(called) == 4)
        assert called == {"check", "reader", "writer", "the writer of both"}
        await asyncio.sleep(0.005)
        assert "never" not in called
        for sock in (reader, both):
            assert loop.remove_reader(sock)
        for sock in (writer, both):
            assert loop.remove_writer(sock)

    async def test_after_it_was_unregistered_a_socket_is_new_to_the_loop(
        self, selector: ChecksFirst, pairs: list[Pair]
    ) -> None:
        near, far = pairs[0]
        loop = asyncio.get_running_loop()
        checks: list[bytes] = []
        for turn in range(1, 3):
            selector.register(near.fileno(), EVENT_READ, lambda: checks.append(near.recv(1)))
            far.send(b"?")
            await until(lambda turn=turn: len(checks) == turn)
            selector.unregister(near.fileno())
            far.send(b"!")
            assert await loop.sock_recv(near, 10) == b"!"
            events: list[str] = []
            loop.add_reader(near, events.append, "read")
            loop.add_writer(near, events.append, "write")
            far.send(b"!")
            await until(lambda events=events: set(events) == {"read", "write"})
            assert loop.remove_writer(near)
            assert loop.remove_reader(near)
            assert near.recv(10) == b"!"
        assert checks == [b"?"] * 2

    async def test_an_error_of_one_reaches_the_loop_and_stops_nobody_else(
        self, selector: ChecksFirst, pairs: list[Pair]
    ) -> None:
        loop = asyncio.get_running_loop()
        told: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: told.append(context))
        *checked, (reader, its_far) = pairs
        # The last one stands for a panic of a library in Rust, which is no Exception either.
        errors = [ValueError("0"), asyncio.CancelledError("1"), BaseException("2")]
        for (near, _), error in zip(checked, errors, strict=True):
            selector.register(near, EVENT_READ, partial(failing, near, error))
        read = asyncio.Event()
        loop.add_reader(reader, read.set)
        for rounds in (1, 2):
            for _, far in checked:
                far.send(b"?")
            await give_way()
            assert len(told) == rounds * len(errors)
        assert {context["exception"] for context in told} == set(errors)
        assert all("failing" in context["message"] for context in told)
        its_far.send(b"?")
        await asyncio.wait_for(read.wait(), 5)
        loop.remove_reader(reader)

    @pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
    def test_the_end_of_the_process_is_no_error_of_one(
        self, pairs: list[Pair], end: Callable[[], BaseException]
    ) -> None:
        near, far = pairs[0]
        selector = ChecksFirst()
        told: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(
                lambda _, told_of: told.append(told_of)
            )
            selector.register(near, EVENT_READ, partial(failing, near, end()))
            far.send(b"?")
            await asyncio.sleep(5)

        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
            with pytest.raises((KeyboardInterrupt, SystemExit)) as raised:
                runner.run(main())
            assert raised.type is end
        assert told == []


class TestFront:
    async def test_a_plain_check_is_answered_before_the_next_step_of_anybody_else(
        self, make_service: ServiceFactory, tmp_path: Path
    ) -> None:
        path = tmp_path / "sock"
        await make_service(TORNADO_AUTH_LISTEN=f"unix:{path}")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, str(path))
            await loop.sock_sendall(sock, plain())
            assert (await loop.sock_recv(sock, 5000)).startswith(b"HTTP/1.1 200 ")
            for _ in range(3):
                sock.send(plain("/auth/verify"))
                await give_way()
                assert sock.recv(5000).startswith(b"HTTP/1.1 401 ")

    async def test_a_connection_is_the_selectors_until_it_is_tornados(
        self, service: Service, wire: MakeWire, selector: ChecksFirst
    ) -> None:
        opened, idle = await wire(service.port), await wire(service.port)
        await idle.ask(plain())
        assert (await opened.ask(plain())).status == 200
        assert (await opened.ask(HALF, b"\r\n")).status == 200
        assert len(own(selector)) == front_of(service).connections == 2
        assert (await opened.ask(plain("/auth/login"))).status == 200
        assert len(own(selector)) == front_of(service).connections == 1
        assert (await opened.ask(plain())).status == 200
        await front_of(service).close_all_connections()
        assert await idle.rest() == b""
        assert own(selector) == []

    async def test_one_that_does_not_read_is_the_loops_until_it_has_its_answers(
        self, full: tuple[Service, Wire, int], selector: ChecksFirst
    ) -> None:
        service, opened, number = full
        (connection,) = front_of(service)._connections
        assert selector.get_key(connection._fd).events == EVENT_WRITE
        assert own(selector) == []
        opened._writer.transport.resume_reading()
        for _ in range(number):
            assert await opened.answer()
        assert [key.fd for key in own(selector)] == [connection._fd]
