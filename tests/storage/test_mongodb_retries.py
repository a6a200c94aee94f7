"""Writes that are tried again to a deadline, and operations that are too many."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pymongo
import pytest

from tests.mongod import Mongod
from tests.storage import TIMEOUT, Driver, each_driver
from tornado_auth.errors import AlreadyExists, StorageUnavailable
from tornado_auth.storage import mongodb
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.mongodb import MongoDBBackend

LOST = {"closeConnection": True}
STEPPED_DOWN = {"errorCode": 189}
NOT_REPLICATED = {"writeConcernError": {"code": 91, "errmsg": "shutting down"}}


@pytest.fixture
async def patient(url: str, driver: Driver) -> AsyncIterator[MongoDBBackend]:
    backend = MongoDBBackend(url, timeout=TIMEOUT, write_timeout=8, driver=driver)
    await backend.open([Thing])
    yield backend
    await backend.close()


@contextlib.contextmanager
def failing(mongod: Mongod, command: str, times: int, failure: dict[str, Any]) -> Iterator[None]:
    """Let the next commands of the service fail; there must be as many."""
    data = {"failCommands": [command], "appName": "tornado_auth", **failure}
    with pymongo.MongoClient[dict[str, Any]](mongod.url) as client:
        fail = client.admin.command
        before = fail("configureFailPoint", "failCommand", mode={"times": times}, data=data)
        try:
            yield
        finally:
            after = fail("configureFailPoint", "failCommand", mode="off")
    assert after["count"] - before["count"] == times


@each_driver
async def test_an_insert_is_tried_again_until_it_succeeds(
    patient: MongoDBBackend, mongod: Mongod
) -> None:
    with failing(mongod, "insert", 2, LOST):
        await patient.collection(Thing).insert(thing())
    assert await patient.collection(Thing).find() == [thing()]


@pytest.mark.parametrize("failure", [STEPPED_DOWN, NOT_REPLICATED])
async def test_a_write_that_a_server_gave_up_is_tried_again(
    patient: MongoDBBackend, mongod: Mongod, failure: dict[str, Any]
) -> None:
    things = patient.collection(Thing)
    with failing(mongod, "insert", 1, failure):
        await things.insert(thing())
    with failing(mongod, "update", 1, failure):
        replaced = await things.replace(thing(count=1))
    assert await things.find() == [replaced] == [thing(count=1, version=1)]


async def test_a_replace_is_tried_again_until_it_succeeds(
    patient: MongoDBBackend, mongod: Mongod
) -> None:
    things = patient.collection(Thing)
    await things.insert(thing())
    with failing(mongod, "update", 2, LOST):
        replaced = await things.replace(thing(count=1))
    assert await things.find() == [replaced] == [thing(count=1, version=1)]


async def test_a_delete_is_tried_again_until_it_succeeds(
    patient: MongoDBBackend, mongod: Mongod
) -> None:
    things = patient.collection(Thing)
    await things.insert(thing("a"))
    await things.insert(thing("b", owner="o"))
    with failing(mongod, "delete", 2, LOST):
        assert await things.delete("a") is True
    with failing(mongod, "delete", 2, LOST):
        assert await things.delete_where(owner="o") == 1
    assert await things.find() == []


async def test_a_delete_that_is_tried_again_does_not_claim_what_somebody_else_may_have_done(
    patient: MongoDBBackend, mongod: Mongod
) -> None:
    things = patient.collection(Thing)
    await things.insert(thing())
    with (
        failing(mongod, "delete", 1, NOT_REPLICATED),
        pytest.raises(StorageUnavailable, match="perhaps"),
    ):
        await things.delete("a")
    assert await things.delete("a") is False


async def test_a_write_that_is_tried_again_does_not_take_what_is_taken(
    patient: MongoDBBackend, mongod: Mongod
) -> None:
    things = patient.collection(Thing)
    await things.insert(thing())
    with failing(mongod, "insert", 2, LOST), pytest.raises(AlreadyExists):
        await things.insert(thing())
    await things.insert(thing("b"))
    with failing(mongod, "update", 2, LOST), pytest.raises(AlreadyExists):
        await things.replace(thing("b", name="name of a"))


async def test_without_patience_a_write_is_tried_twice(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    with failing(mongod, "insert", 2, LOST), pytest.raises(StorageUnavailable):
        await backend.collection(Thing).insert(thing())
    with failing(mongod, "insert", 1, LOST):
        await backend.collection(Thing).insert(thing("b"))


async def test_a_refused_write_is_not_tried_again(patient: MongoDBBackend, mongod: Mongod) -> None:
    with (
        failing(mongod, "insert", 1, {"errorCode": 13}),
        pytest.raises(StorageUnavailable, match="OperationFailure"),
    ):
        await patient.collection(Thing).insert(thing())


# S140
async def test_a_write_outlasts_a_server_that_is_killed_and_reads_do_not_wait_for_it(
    patient: MongoDBBackend, mongod: Mongod
) -> None:
    things = patient.collection(Thing)
    mongod.kill()
    try:
        inserts = [asyncio.ensure_future(things.insert(thing(str(n)))) for n in range(200)]
        await asyncio.sleep(TIMEOUT)  # all the turns of writes are taken
        started = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await things.get("a")
        assert time.monotonic() - started < TIMEOUT + 2
    finally:
        mongod.start()
    await asyncio.gather(*inserts)
    assert len(await things.find(limit=300)) == 200


async def test_patience_with_a_server_that_is_away_ends(url: str, mongod: Mongod) -> None:
    backend = MongoDBBackend(url, timeout=0.3, write_timeout=1)
    await backend.open([Thing])
    mongod.kill()
    try:
        started = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await backend.collection(Thing).insert(thing())
        assert 0.5 < time.monotonic() - started < 3
        started = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await backend.collection(Thing).get("a")
        assert time.monotonic() - started < 2
    finally:
        mongod.start()
    await backend.close()


# S140
async def test_what_would_wait_too_long_is_turned_away_at_once(
    url: str, mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongodb, "WAITING", 20)
    backend = MongoDBBackend(url, timeout=TIMEOUT)
    await backend.open([Thing])
    things = backend.collection(Thing)
    calls: tuple[tuple[int, Callable[[], Awaitable[object]]], ...] = (
        (mongodb.RUNNING_READS, lambda: things.get("a")),
        (mongodb.RUNNING_WRITES, lambda: things.insert(thing())),
    )
    mongod.pause()
    try:
        started = time.monotonic()
        for running, call in calls:
            tasks = [asyncio.ensure_future(call()) for _ in range(running + 20)]
            await asyncio.sleep(0)
            asked = time.monotonic()
            with pytest.raises(StorageUnavailable, match="wait already"):
                await call()
            assert time.monotonic() - asked < 0.1
            waiting = asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in await waiting} == {StorageUnavailable}
        assert time.monotonic() - started < TIMEOUT + 2
    finally:
        mongod.resume()
    await backend.ping()
    assert await things.get("b") is None
    await backend.close()


def test_there_is_a_thread_and_a_connection_for_whatever_has_its_turn() -> None:
    feed_and_ping = 4
    assert mongodb.RUNNING_READS + mongodb.RUNNING_WRITES + feed_and_ping <= mongodb.MOTOR_WORKERS
