"""The sockets in front of Tornado when there are too many, and when the service ends."""

import asyncio
import errno
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.fast_path.conftest import (
    HALF,
    MakeTwins,
    MakeWire,
    Store,
    front_of,
    open_files_limit,
    plain,
    until,
)
from tests.security.wire import Wire
from tests.service import Service
from tornado_auth.fast_path import front
from tornado_auth.scheduling import give_way


class TestMany:
    # S135
    async def test_two_thousand_that_are_stuck_do_not_stop_the_others(
        self, service: Service, wire: MakeWire
    ) -> None:
        token = await service.sign_in("ann")
        request = plain("/auth/verify", f"auth-token: {token}")
        stuck: list[socket.socket] = []
        loop = asyncio.get_running_loop()
        with open_files_limit(8192):
            try:
                for number in range(2000):
                    sock = socket.socket()
                    stuck.append(sock)
                    sock.setblocking(False)
                    await loop.sock_connect(sock, ("127.0.0.1", service.port))
                    head = (b"", HALF, b"POST /auth/check HTTP/1.1\r\nHost: a\r\n", plain())
                    await loop.sock_sendall(sock, head[number % 4])
                opened = await wire(service.port)
                await opened.ask(request)
                took = []
                for _ in range(200):
                    started = time.monotonic()
                    assert (await opened.ask(request)).status == 200
                    took.append(time.monotonic() - started)
                assert sorted(took)[180] < 0.25
            finally:
                for sock in stuck:
                    sock.close()

    async def test_when_the_system_has_no_more_sockets_it_waits(
        self,
        service: Service,
        wire: MakeWire,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(front, "ACCEPT_PAUSE", 0.1)
        opened = await wire(service.port)
        sock = socket.socket()
        sock.setblocking(False)
        with open_files_limit(sock.fileno() + 1):
            with suppress(BlockingIOError):
                sock.connect(("127.0.0.1", service.port))
            before = time.process_time()
            await asyncio.sleep(0.35)
            assert time.process_time() - before < 0.2
            # Who is in goes on.
            assert (await opened.ask(plain())).status == 200
        failures = [record for record in caplog.records if record.message == "accept_failed"]
        assert 2 <= len(failures) <= 20
        assert failures[0].__dict__["reason"] == os.strerror(errno.EMFILE)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, plain())
        assert (await loop.sock_recv(sock, 100)).startswith(b"HTTP/1.1 200 ")
        sock.close()

    async def test_a_crowd_does_not_wait_a_turn_of_the_loop_for_each(
        self, service: Service
    ) -> None:
        crowd = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(40)]
        turns = 0
        while front_of(service).connections < len(crowd):
            turns += 1
            assert turns < 12
            await give_way()
        # Processes that share the socket get theirs: no turn takes all.
        assert turns >= 5
        for sock in crowd:
            sock.close()


class TestTheEnd:
    async def test_further_answers_say_that_it_is_near(
        self, make_twins: MakeTwins, wire: MakeWire
    ) -> None:
        twins = await make_twins()
        line = f"auth-token: {await twins.fast.sign_in('ann')}"
        requests = [plain(), plain("/auth/verify", line), plain("/auth/verify?service=files", line)]
        for service in (twins.fast, twins.alone):
            opened = [await wire(service.port) for _ in requests]
            for each in opened:
                assert not (await each.ask(plain())).header("Connection")
            service.listener.stop()
            for each, request in zip(opened, requests, strict=True):
                answer = await each.ask(request)
                assert (answer.status, answer.header("Connection")) == (200, "close")
                assert await each.rest() == b""

    async def test_nobody_is_accepted_any_more(self, service: Service) -> None:
        service.listener.stop()
        with pytest.raises(ConnectionRefusedError):
            await Wire.to(service.port)
        service.listener.stop()

    async def test_not_even_after_a_pause(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(front, "ACCEPT_PAUSE", 0.01)
        sock = socket.socket()
        sock.setblocking(False)
        with open_files_limit(sock.fileno() + 1):
            with suppress(BlockingIOError):
                sock.connect(("127.0.0.1", service.port))
            await asyncio.sleep(0.005)
            service.listener.stop()
            await asyncio.sleep(0.03)
        sock.close()

    async def test_answers_under_way_are_waited_for(
        self, service: Service, store: Store, wire: MakeWire
    ) -> None:
        waiting, idle, half = [await wire(service.port) for _ in range(3)]
        await idle.ask(plain())
        await half.send(HALF)
        handed = await wire(service.port)
        await handed.ask(plain("/auth/nowhere"))
        await waiting.send(plain("/auth/verify", f"auth-token: {await service.sign_in('ann')}"))
        await until(lambda: store.asked)
        service.listener.stop()
        closing = asyncio.ensure_future(service.listener.close_all_connections())
        await asyncio.sleep(0.05)
        assert not closing.done()
        store.answering.set()
        await closing
        answer = await waiting.answer()
        assert answer is not None
        assert (answer.status, answer.header("Connection")) == (200, "close")
        for each in (waiting, idle, half, handed):
            assert await each.rest() == b""
        assert front_of(service).connections == 0

    async def test_it_leaves_no_timer_behind(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(front, "TICK", 0.01)
        await asyncio.sleep(1.05)
        seconds: list[Callable[[], None]] = []
        monkeypatch.setattr(
            front_of(service).answers, "start_second", lambda: seconds.append(print)
        )
        await until(lambda: len(seconds) > 2)
        service.listener.stop()
        await service.listener.close_all_connections()
        number = len(seconds)
        await asyncio.sleep(0.05)
        assert len(seconds) == number
