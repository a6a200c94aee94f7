"""The fixtures that every test may use.

io_loop      one event loop a test, closed clean; replaces pytest-tornado's
clock        a FakeClock: `clock()` is the time in whole seconds, `clock.advance(seconds)` moves it
storage      an open Storage, once in memory and once on SQLite
mongo_storage  an open Storage on a fresh database of a one-node replica set
mongo_url, replica_set_url, mongod_url  addresses of a real MongoDB: see tests/mongod.py
make_service, service  a whole service over real HTTP: see tests/service.py
oidc_provider, fake_github, fake_oidc  login providers: see tests/providers/fixtures.py
never_block  on for every test: a call of ours that blocks the loop is an error

Coroutine tests need no marker, and fixtures may be coroutines or asynchronous generators.
"""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.platform.asyncio import AsyncIOLoop

from tests.mongod import mongo_url, mongod_url, replica_set_url
from tests.never_block import never_block
from tests.providers.fixtures import fake_github, fake_oidc, oidc_provider
from tests.service import make_service, service
from tornado_auth.storage import Storage, open_backend

__all__ = [
    "fake_github",
    "fake_oidc",
    "make_service",
    "mongo_url",
    "mongod_url",
    "never_block",
    "oidc_provider",
    "replica_set_url",
    "service",
]

pytest.register_assert_rewrite("tornado_auth.storage.contract")


class FakeClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now: int = 1_800_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += seconds


@pytest.fixture
def io_loop() -> Iterator[AsyncIOLoop]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    io_loop = AsyncIOLoop(asyncio_loop=loop, make_current=False)
    yield io_loop
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    io_loop.close(all_fds=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Iterator[Any]:
    """Run coroutine fixtures on `io_loop`: pytest-tornado has no support for them."""
    function = fixturedef.func
    is_generator = inspect.isasyncgenfunction(function)
    if not (is_generator or inspect.iscoroutinefunction(function)):
        return (yield)
    io_loop = request.getfixturevalue("io_loop")
    timeout = request.config.getoption("async_test_timeout")

    @functools.wraps(function)
    def run_generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
        generator = function(*args, **kwargs)
        yield io_loop.run_sync(generator.__anext__, timeout=timeout)
        with pytest.raises(StopAsyncIteration):
            io_loop.run_sync(generator.__anext__, timeout=timeout)

    @functools.wraps(function)
    def run_coroutine(*args: Any, **kwargs: Any) -> Any:
        return io_loop.run_sync(lambda: function(*args, **kwargs), timeout=timeout)

    fixturedef.func = run_generator if is_generator else run_coroutine
    try:
        return (yield)
    finally:
        fixturedef.func = function


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Make every coroutine test a `gen_test`, so that nobody can forget the marker."""
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.gen_test)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
async def storage(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[Storage]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/store.db"
    storage = Storage(open_backend(url, timeout=5), clock)
    await storage.open()
    yield storage
    await storage.close()


@pytest.fixture
async def mongo_storage(mongo_url: str, clock: FakeClock) -> AsyncIterator[Storage]:
    storage = Storage(open_backend(mongo_url, timeout=5), clock)
    await storage.open()
    yield storage
    await storage.close()
