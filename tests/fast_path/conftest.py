"""Fixtures of the fast path.

twins, make_twins  two services on one store that are alike but for the fast path
wire               opens connections that are closed at the end of the test
store              the store of `service`, which answers when it is told to
requests           the strict reader
"""

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.security.wire import Answer, Wire
from tests.service import Service, ServiceFactory
from tornado_auth.fast_path import Front, PlainRequests

PROVIDER = "tests.fast_path.provider"
MakeTwins = Callable[..., Awaitable["Twins"]]
MakeWire = Callable[[int | Path], Awaitable[Wire]]


def plain(target: str = "/auth/check", *lines: str) -> bytes:
    """Return a plain request."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


HALF = plain()[:-2]


async def until(happened: Callable[[], object]) -> None:
    """Wait for what must happen soon."""
    async with asyncio.timeout(5):
        while not happened():  # noqa: ASYNC110 - a test may poll
            await asyncio.sleep(0.002)


def front_of(service: Service) -> Front:
    assert isinstance(service.listener, Front)
    return service.listener


@contextmanager
def open_files_limit(number: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@dataclass(frozen=True)
class Twins:
    """A service with the fast path, and one without."""

    fast: Service
    alone: Service

    async def agree_on(self, *parts: bytes, is_plain: bool) -> Answer:
        """Send a request to both, and return their answer, which is the same.

        `is_plain` tells who must have answered: the fast path or Tornado behind it.
        """
        answers = []
        front = front_of(self.fast)
        before = front.connections
        for service in (self.fast, self.alone):
            wire = await Wire.to(service.port)
            try:
                answers.append(await wire.ask(*parts))
                if service is self.fast:
                    assert front.connections - before == is_plain
            finally:
                wire.close()
            await until(lambda: front.connections == before)
        assert answers[0] == answers[1]
        return answers[0]


class Store:
    """Answers questions about sessions when it is told to, with `error` if there is one."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answering = asyncio.Event()
        self.asked = 0
        self.error: Exception | None = None
        self._get_many = service.server.storage.sessions.get_many
        monkeypatch.setattr(service.server.storage.sessions, "get_many", self.get_many)

    async def get_many(self, ids: list[str]) -> Any:
        self.asked += 1
        await self.answering.wait()
        if self.error is not None:
            raise self.error
        return await self._get_many(ids)


@pytest.fixture
def store(service: Service, monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(service, monkeypatch)


@pytest.fixture
def requests() -> PlainRequests:
    return PlainRequests("tornado_auth", jwt_parameter=True)


@pytest.fixture
def make_twins(make_service: ServiceFactory, tmp_path: Path) -> MakeTwins:
    async def make(**environ: str) -> Twins:
        environ = {
            "DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
            "EXTERNAL_ADDRESS": "http://localhost:8080",
            "ALLOWED_SERVICES": f"files:{PROVIDER};empty:{PROVIDER}",
            **environ,
        }
        fast = await make_service(**environ)
        return Twins(fast, await make_service(**environ, TORNADO_AUTH_FAST_PATH="off"))

    return make


@pytest.fixture
async def twins(make_twins: MakeTwins) -> Twins:
    return await make_twins()


@pytest.fixture
async def wire() -> AsyncIterator[MakeWire]:
    wires: list[Wire] = []

    async def to(address: int | Path) -> Wire:
        wires.append(await Wire.to(address))
        return wires[-1]

    yield to
    for opened in wires:
        opened.close()


@pytest.fixture(autouse=True)
def _no_error_in_a_callback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail where the loop caught an exception that nobody else did."""
    yield
    for record in caplog.get_records("call"):
        assert record.name not in ("asyncio", "tornado.application"), record.getMessage()
