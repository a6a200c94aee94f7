"""Feeds over MongoDB's change streams: what they cost, and what they say when they cannot go on."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pymongo
import pytest

from tests.mongod import ReplicaSet, fresh_database
from tests.storage import TIMEOUT, Driver, each_driver
from tornado_auth.errors import PositionLost, StorageUnavailable
from tornado_auth.storage import Inserted
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.mongodb import MongoDBBackend


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    replica_set = ReplicaSet(1)
    try:
        yield replica_set
    finally:
        replica_set.remove()


@pytest.fixture
def url(replica_set: ReplicaSet) -> Iterator[str]:
    with fresh_database(replica_set.url) as url:
        yield url


@pytest.fixture
def server(replica_set: ReplicaSet) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](replica_set.url) as client:
        yield client


@pytest.fixture
async def feed(backend: MongoDBBackend) -> AsyncIterator[AsyncGenerator[Inserted[Thing], None]]:
    """A feed of things that has begun."""
    feed = follow(backend)
    async with contextlib.aclosing(feed):
        await anext(feed)
        yield feed


def follow(backend: MongoDBBackend, position: str = "") -> AsyncGenerator[Inserted[Thing], None]:
    feed = backend.collection(Thing).follow(position)
    assert feed is not None
    return feed


async def read_on(feed: AsyncGenerator[Inserted[Thing], None]) -> None:
    async for _ in feed:
        pass


def open_cursors(server: pymongo.MongoClient[dict[str, Any]]) -> int:
    return int(server.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"])


@each_driver
async def test_a_standalone_server_has_no_feed(mongod_url: str, driver: Driver) -> None:
    with fresh_database(mongod_url) as url:
        backend = MongoDBBackend(url, timeout=TIMEOUT, driver=driver)
        assert backend.collection(Thing).follow() is None
        await backend.open([Thing])
        assert backend.collection(Thing).follow() is None
        await backend.close()


@each_driver
async def test_a_feed_outlasts_many_time_limits_of_a_single_operation(
    url: str, driver: Driver
) -> None:
    backend = MongoDBBackend(f"{url}&timeoutMS=400", timeout=TIMEOUT, driver=driver)
    await backend.open([Thing])
    async with contextlib.aclosing(follow(backend)) as feed:
        reports = [await anext(feed) for _ in range(4)]
        await backend.collection(Thing).insert(thing())
        assert (await anext(feed)).records == (thing(),)
    assert not any(report.records for report in reports)
    await backend.close()


@each_driver
async def test_what_is_there_comes_in_one_report(backend: MongoDBBackend) -> None:
    async with contextlib.aclosing(follow(backend)) as feed:
        await anext(feed)
        for number in range(0, 300, 20):
            ids = [f"{number + more:03}" for more in range(20)]
            await asyncio.gather(*(backend.collection(Thing).insert(thing(id)) for id in ids))
        report = await anext(feed)
    assert sorted(record.id for record in report.records) == [f"{n:03}" for n in range(300)]


@each_driver
async def test_a_feed_that_is_closed_or_cancelled_leaves_nothing_behind(
    backend: MongoDBBackend, server: pymongo.MongoClient[dict[str, Any]]
) -> None:
    before = open_cursors(server)
    feed = follow(backend)
    await anext(feed)
    assert open_cursors(server) == before + 1
    await feed.aclose()
    assert open_cursors(server) == before

    async def listen() -> None:
        async with contextlib.aclosing(follow(backend)) as feed:
            async for _ in feed:
                started.set()

    threads = threading.active_count()
    for pause in (0.0, 0.1):
        started = asyncio.Event()
        task = asyncio.ensure_future(listen())
        if pause:
            await started.wait()
            await asyncio.sleep(pause)
        else:
            await asyncio.sleep(0)  # while the stream is being opened
            await asyncio.sleep(0)
        task.cancel()
        stopped_at = time.monotonic()
        await asyncio.wait({task}, timeout=5)
        assert time.monotonic() - stopped_at < 0.75
        assert task.cancelled()
    assert open_cursors(server) == before
    assert threading.active_count() <= threads + 1  # Motor's pool may have grown by one


# S131 S140
@each_driver
async def test_behind_a_server_that_hangs_a_feed_ends_in_time(
    backend: MongoDBBackend, replica_set: ReplicaSet
) -> None:
    feed, waiting = follow(backend), follow(backend)
    position = (await anext(feed)).position
    replica_set.members[0].pause()
    try:
        for stuck in (feed, waiting):  # one that is open, one that is to be
            started = time.monotonic()
            with pytest.raises(StorageUnavailable):
                await read_on(stuck)
            assert time.monotonic() - started < TIMEOUT + 2
            await stuck.aclose()
    finally:
        replica_set.members[0].resume()
    await backend.collection(Thing).insert(thing())
    async with contextlib.aclosing(follow(backend, position)) as feed:
        assert (await anext(feed)).records == (thing(),)


@each_driver
async def test_a_position_that_is_too_old_is_lost(backend: MongoDBBackend) -> None:
    async with contextlib.aclosing(follow(backend)) as feed:
        await anext(feed)
        await backend.collection(Thing).insert(thing())
        token = json.loads((await anext(feed)).position)
    ancient = {"_data": f"{token['_data'][:2]}10000000{token['_data'][10:]}"}
    for position in ("5", "{}", '{"_data": "zz"}', '{"$oid": "5"}', json.dumps(ancient)):
        async with contextlib.aclosing(follow(backend, position)) as feed:
            with pytest.raises(PositionLost):
                await anext(feed)


@pytest.mark.parametrize("code", [136, 280, 286])
async def test_a_feed_whose_history_is_gone_is_lost(
    backend: MongoDBBackend,
    feed: AsyncGenerator[Inserted[Thing], None],
    server: pymongo.MongoClient[dict[str, Any]],
    code: int,
) -> None:
    with failing(server, "getMore", code), pytest.raises(PositionLost):
        await anext(feed)
    async with contextlib.aclosing(follow(backend)) as feed:
        await anext(feed)


async def test_a_feed_that_is_refused_from_the_start_is_unavailable(
    backend: MongoDBBackend, server: pymongo.MongoClient[dict[str, Any]]
) -> None:
    with failing(server, "aggregate", 13):  # Unauthorized
        async with contextlib.aclosing(follow(backend)) as feed:
            with pytest.raises(StorageUnavailable):
                await anext(feed)


async def test_a_feed_of_a_collection_that_is_gone_is_lost(
    backend: MongoDBBackend, feed: AsyncGenerator[Inserted[Thing], None]
) -> None:
    position = (await anext(feed)).position
    await backend.database[Thing.KIND].drop()
    with pytest.raises(PositionLost):
        await read_on(feed)
    async with contextlib.aclosing(follow(backend, position)) as feed:
        with pytest.raises(PositionLost):
            await read_on(feed)


async def test_a_feed_of_a_backend_that_is_closed_is_unavailable(backend: MongoDBBackend) -> None:
    feed = follow(backend)
    await backend.close()
    with pytest.raises(StorageUnavailable, match="not open"):
        await anext(feed)


@contextlib.contextmanager
def failing(server: pymongo.MongoClient[dict[str, Any]], command: str, code: int) -> Iterator[None]:
    data = {"failCommands": [command], "errorCode": code, "appName": "tornado_auth"}
    server.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    try:
        yield
    finally:
        server.admin.command("configureFailPoint", "failCommand", mode="off")
