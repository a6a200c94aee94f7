"""The sockets in front of Tornado: slow ones, silent ones, lost ones, too many, and the end."""

import asyncio
import gc
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fast_path.conftest import HALF, MakeWire, Store, front_of, plain, until
from tests.security.wire import Wire
from tests.service import Service, ServiceFactory
from tornado_auth.errors import StorageUnavailable
from tornado_auth.fast_path import front


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the connections often, and lose patience with them soon."""
    for name, seconds in (("TICK", 0.02), ("KEEP_ALIVE", 0.4)):
        monkeypatch.setattr(front, name, seconds)


async def seconds_until_closed(wire: Wire) -> float:
    started = time.monotonic()
    assert await wire.rest() == b""
    return time.monotonic() - started


def reset(wire: Wire) -> None:
    """Close a connection so that the other side gets an error for it."""
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


@pytest.mark.usefixtures("quick")
class TestSilence:
    # S135
    async def test_who_says_nothing_is_closed(
        self, make_service: ServiceFactory, wire: MakeWire
    ) -> None:
        service = await make_service(TORNADO_AUTH_HEADER_TIMEOUT="1")
        silent = await wire(service.port)
        assert 0.9 < await seconds_until_closed(silent) < 5
        assert front_of(service).connections == 0

    async def test_who_was_answered_may_be_silent_for_longer_or_shorter(
        self, service: Service, wire: MakeWire
    ) -> None:
        opened = await wire(service.port)
        await opened.ask(plain())
        assert 0.3 < await seconds_until_closed(opened) < 5

    # S135
    async def test_half_a_request_is_not_waited_for_longer_than_one_that_has_not_begun(
        self, make_service: ServiceFactory, wire: MakeWire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(front, "KEEP_ALIVE", 60)
        service = await make_service(TORNADO_AUTH_HEADER_TIMEOUT="1")
        waiting = []
        for before in (0, 1):
            opened = await wire(service.port)
            for _ in range(before):
                await opened.ask(plain())
            await opened.send(HALF)
            waiting.append(seconds_until_closed(opened))
        assert all(0.8 < seconds < 5 for seconds in await asyncio.gather(*waiting))

    # S135
    async def test_drops_do_not_put_it_off(
        self, make_service: ServiceFactory, wire: MakeWire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(front, "KEEP_ALIVE", 60)
        service = await make_service(TORNADO_AUTH_HEADER_TIMEOUT="1")
        opened = await wire(service.port)
        await opened.ask(plain())
        await opened.send(HALF + b"X-Drops: ")
        started = time.monotonic()
        with suppress(ConnectionError):
            while front_of(service).connections:
                await opened.send(b"a")
                await asyncio.sleep(0.02)
        assert 0.8 < time.monotonic() - started < 5

    async def test_a_silent_time_before_does_not_count_for_half_a_request(
        self, make_service: ServiceFactory, wire: MakeWire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(front, "KEEP_ALIVE", 60)
        service = await make_service(TORNADO_AUTH_HEADER_TIMEOUT="1")
        opened = await wire(service.port)
        await opened.ask(plain())
        await asyncio.sleep(1.1)
        await opened.send(HALF)
        await asyncio.sleep(0.1)
        assert (await opened.ask(b"\r\n")).status == 200

    async def test_who_waits_for_the_store_is_not_silent(
        self, service: Service, store: Store, wire: MakeWire
    ) -> None:
        opened = await wire(service.port)
        await opened.ask(plain())
        await opened.send(plain("/auth/verify", f"auth-token: {await service.sign_in('ann')}"))
        await asyncio.sleep(0.6)
        store.answering.set()
        answer = await opened.answer()
        assert answer is not None
        assert answer.status == 200


class TestTheFarEnd:
    async def test_half_closed_it_still_gets_its_answer(
        self, service: Service, store: Store, wire: MakeWire
    ) -> None:
        request = plain("/auth/verify", f"auth-token: {await service.sign_in('ann')}")
        asked_late, asked_now = await wire(service.port), await wire(service.port)
        await asked_late.send(request)
        asked_late.end_sending()
        await until(lambda: store.asked)
        store.answering.set()
        assert (await asked_late.rest()).startswith(b"HTTP/1.1 200 ")
        await asked_now.send(request)
        asked_now.end_sending()
        assert (await asked_now.rest()).startswith(b"HTTP/1.1 200 ")
        assert front_of(service).connections == 0

    async def test_half_closed_in_the_middle_it_gets_none(
        self, service: Service, wire: MakeWire
    ) -> None:
        for data in (b"", b"G", HALF[:30], HALF):
            opened = await wire(service.port)
            await opened.send(data)
            opened.end_sending()
            assert await opened.rest() == b""
        assert front_of(service).connections == 0

    async def test_what_ends_differently_for_tornado_is_not_held(
        self, service: Service, wire: MakeWire
    ) -> None:
        for data in (HALF + b"\n", plain().replace(b"\r\n", b"\n"), HALF[:-2] + b"\n\r\n"):
            opened = await wire(service.port)
            started = time.monotonic()
            assert (await opened.ask(data)).status == 200
            assert time.monotonic() - started < 0.9

    async def test_it_may_go_away_at_any_moment(
        self, service: Service, store: Store, wire: MakeWire
    ) -> None:
        token = await service.sign_in("ann")
        waits = plain("/auth/verify", f"auth-token: {token}")
        for end in (Wire.close, reset):
            for data in (b"", HALF, plain(), waits, waits + b"x", plain("/auth/nowhere"), b"P"):
                opened = await wire(service.port)
                await opened.send(data)
                end(opened)
        # Those that wait for the store are noticed when it answers.
        store.answering.set()
        await until(lambda: front_of(service).connections == 0)
        assert (await (await wire(service.port)).ask(waits)).status == 200

    async def test_those_who_went_away_are_not_waited_for_at_the_end(
        self, service: Service, store: Store, wire: MakeWire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(front, "FINISH_WITHIN", 0.05)
        opened = await wire(service.port)
        await opened.send(plain("/auth/verify", f"auth-token: {await service.sign_in('ann')}"))
        await until(lambda: store.asked)
        front_of(service).stop()
        await front_of(service).close_all_connections()
        assert await opened.rest() == b""
        store.error = StorageUnavailable("No answer.")
        store.answering.set()
        await front_of(service).in_flight.wait_idle()
        gc.collect()  # and nothing is logged of a failure that nobody looked at


class TestOrder:
    async def test_what_follows_waits_for_the_answer_before(
        self, service: Service, store: Store, wire: MakeWire
    ) -> None:
        token = await service.sign_in("ann")
        verify = plain("/auth/verify", f"auth-token: {token}")
        for following, status in ((plain(), 200), (plain("/auth/nowhere"), 404), (verify, 200)):
            opened = await wire(service.port)
            await opened.send(verify, following)
            await asyncio.sleep(0.02)
            store.answering.set()
            answers = [await opened.answer(), await opened.answer()]
            assert [answer.status if answer else 0 for answer in answers] == [200, status]

    async def test_what_waits_is_looked_at_once(
        self, service: Service, store: Store, wire: MakeWire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = []
        look = front._Connection._readable

        def readable(connection: front._Connection) -> Any:
            looks.append(connection)
            return look(connection)

        monkeypatch.setattr(front._Connection, "_readable", readable)
        opened = await wire(service.port)
        verify = plain("/auth/verify", f"auth-token: {await service.sign_in('ann')}")
        await opened.send(verify, verify)
        await until(lambda: store.asked)
        await asyncio.sleep(0.1)
        assert len(looks) <= 2
        store.answering.set()
        assert await opened.answer()
        assert await opened.answer()
        # Nor is one looked at that nobody writes to.
        await asyncio.sleep(0.1)
        assert len(looks) <= 4


class Narrow:
    """A socket that takes little at a time, and nothing every other time."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._is_full = False

    def send(self, data: bytes) -> int:
        self._is_full = not self._is_full
        if self._is_full:
            raise BlockingIOError
        return self._inner.send(data[:100])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
async def full(
    make_service: ServiceFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[tuple[Service, Wire, int]]:
    """A service, a connection that cannot take the answers to its requests, and their number."""
    monkeypatch.setattr(front, "TICK", 0.02)
    path = tmp_path / "sock"
    service = await make_service(
        TORNADO_AUTH_HEADER_TIMEOUT="1", TORNADO_AUTH_LISTEN=f"unix:{path}"
    )
    opened = await Wire.to(path)
    opened._writer.transport.pause_reading()
    await until(lambda: front_of(service).connections)
    (connection,) = front_of(service)._connections
    number = 0
    while not connection._unsent:
        await opened.send(plain("/auth/verify" if number % 2 else "/auth/check"))
        await asyncio.sleep(0.001)
        number += 1
        assert number < 2000
    yield service, opened, number
    opened.close()


class TestSlowReaders:
    async def test_an_answer_may_go_in_drops(self, service: Service, wire: MakeWire) -> None:
        token = await service.sign_in("ann")
        opened = await wire(service.port)
        requests = [plain("/auth/check", f"auth-token: {token}"), plain("/auth/verify"), plain("/")]
        expected = [await (await wire(service.port)).ask(request) for request in requests]
        await opened.ask(plain())
        (connection,) = [
            each
            for each in front_of(service)._connections
            if each._address == opened.socket.getsockname()
        ]
        connection._sock = Narrow(connection._sock)
        for request, answer in zip(requests[:2], expected, strict=False):
            assert await opened.ask(request) == answer
        await opened.send(*requests)
        assert [await opened.answer() for _ in requests] == expected

    # S135
    async def test_one_gets_all_its_answers_in_the_end(
        self, full: tuple[Service, Wire, int], wire: MakeWire
    ) -> None:
        service, opened, number = full
        # A request that is not read yet, and others who are answered in the meantime.
        await opened.send(plain("/auth/nowhere"))
        for _ in range(20):
            assert (await (await wire(service.port)).ask(plain())).status == 200
        opened._writer.transport.resume_reading()
        statuses = []
        for _ in range(number + 1):
            answer = await opened.answer()
            assert answer is not None
            statuses.append(answer.status)
        assert statuses == [401 if n % 2 else 200 for n in range(number)] + [404]

    # S135
    async def test_one_that_never_reads_is_closed_but_not_at_once(
        self, full: tuple[Service, Wire, int]
    ) -> None:
        service, opened, number = full
        started = time.monotonic()
        await until(lambda: front_of(service).connections == 0)
        assert time.monotonic() - started > 0.8
        opened._writer.transport.resume_reading()
        assert (await opened.rest()).count(b"HTTP/1.1 ") <= number
