"""What is particular to MongoDB: indexes, options, and a server that goes away."""

import asyncio
import dataclasses
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import pymongo
import pytest
from bson import Int64
from tornado.testing import bind_unused_port

from tests.mongod import Mongod, wait_until
from tests.storage import TIMEOUT, Driver, each_driver
from tornado_auth.errors import SettingsError, StorageUnavailable
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.documents import default_options
from tornado_auth.storage.mongodb import MOTOR_WORKERS, MongoDBBackend

pytestmark = pytest.mark.alone

# indexes


@each_driver
async def test_every_index_is_there(backend: MongoDBBackend) -> None:
    indexes = await backend.database[Thing.KIND].index_information()
    found = {tuple(key for key, _ in index["key"]): index for index in indexes.values()}
    assert set(found) == {
        ("_id",),
        ("_purge_at",),
        ("name",),
        ("badge",),
        ("owner", "_id"),
        ("colour", "_id"),
    }
    assert found[("_purge_at",)]["expireAfterSeconds"] == 0
    assert [keys for keys, index in found.items() if index.get("unique")] == [("name",), ("badge",)]


async def test_a_page_of_a_condition_is_read_from_its_index(backend: MongoDBBackend) -> None:
    cursor = backend.database[Thing.KIND].find({"owner": {"$eq": "o"}, "_id": {"$gt": "a"}})
    plan = await cursor.sort("_id", 1).limit(5).explain()
    stages = str(plan["queryPlanner"]["winningPlan"])
    assert "IXSCAN" in stages
    assert "'SORT'" not in stages
    assert "COLLSCAN" not in stages


async def test_the_database_removes_what_has_expired(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    things = backend.collection(Thing)
    await things.insert(thing("past", expires_at=1))
    await things.insert(thing("future", expires_at=32_000_000_000))
    await things.insert(thing("beyond any date", expires_at=2**60))
    await things.insert(thing("for ever"))
    await things.insert(thing("shortened"))
    await things.replace(thing("shortened", expires_at=1))
    await things.insert(thing("extended", expires_at=1))
    await things.replace(thing("extended", expires_at=None))
    with pymongo.MongoClient[dict[str, Any]](mongod.url) as client:
        client.admin.command("setParameter", 1, ttlMonitorEnabled=True)
        try:
            collection = client[backend.database.name][Thing.KIND]
            await asyncio.to_thread(
                wait_until, lambda: collection.count_documents({}) == 4, "nothing is removed"
            )
        finally:
            client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
    left = [record.id for record in await things.find()]
    assert left == ["beyond any date", "extended", "for ever", "future"]


# options


@each_driver
async def test_options_have_sane_defaults(backend: MongoDBBackend) -> None:
    options = backend.database.client.options
    assert options.timeout == TIMEOUT
    assert options.server_selection_timeout == TIMEOUT
    assert options.pool_options.connect_timeout == 1
    assert options.pool_options.appname == "tornado_auth"
    assert options.retry_writes is True
    assert options.heartbeat_frequency == 1
    assert backend.database.write_concern.document == {"w": "majority"}


@each_driver
async def test_the_address_overrides_the_defaults(url: str, driver: Driver) -> None:
    own = "&timeoutms=700&SERVERSELECTIONTIMEOUTMS=800&w=1&retryWrites=false&appName=theirs"
    backend = MongoDBBackend(url + own, timeout=TIMEOUT, driver=driver)
    await backend.open([Thing])
    options = backend.database.client.options
    assert options.timeout == 0.7
    assert options.server_selection_timeout == 0.8
    assert options.pool_options.appname == "theirs"
    assert options.retry_writes is False
    assert options.pool_options.connect_timeout == 1
    assert backend.database.write_concern.document == {"w": 1}
    await backend.close()


def test_only_options_that_the_address_leaves_open_get_a_default() -> None:
    assert default_options("mongodb://host/?TimeoutMS=5;W=1", 2) == {
        "serverSelectionTimeoutMS": 2000,
        "connectTimeoutMS": 1000,
        "heartbeatFrequencyMS": 1000,
        "retryWrites": True,
        "appname": "tornado_auth",
    }


async def test_the_database_is_the_one_that_the_address_names(mongod: Mongod, url: str) -> None:
    for address, name in ((mongod.url, "tornado_auth"), (url, url.split("/")[3].split("?")[0])):
        backend = MongoDBBackend(address, timeout=TIMEOUT)
        await backend.open([])
        assert backend.database.name == name
        await backend.close()


async def test_motor_has_a_thread_for_every_connection(backend: MongoDBBackend) -> None:
    from motor.frameworks import asyncio as framework

    assert framework.max_workers >= MOTOR_WORKERS


# a server that goes away


# S140
@each_driver
async def test_a_killed_server_is_unavailable_and_then_used_again(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    things = backend.collection(Thing)
    await asyncio.gather(*(things.insert(thing(str(number))) for number in range(10)))
    mongod.kill()
    try:
        started = time.monotonic()
        calls = (call() for call in every_operation(backend))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - started < TIMEOUT + 1.5
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    finally:
        mongod.start()
    await things.insert(thing("after"))
    assert len(await things.find()) == 11


# S140
@each_driver
async def test_a_restart_between_two_calls_is_not_noticed(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    things = backend.collection(Thing)
    await asyncio.gather(*(things.insert(thing(str(number))) for number in range(10)))
    for call in (
        lambda: things.insert(thing("new")),
        lambda: things.replace(thing("1", count=1)),
        lambda: things.delete_where(owner="nobody"),
        lambda: things.get("1"),
    ):
        mongod.kill()
        mongod.start()
        await call()  # on connections that are dead without knowing it
    assert await things.get("1") == thing("1", count=1, version=1)
    assert await things.get("new") == thing("new")


# S140
@each_driver
async def test_behind_a_server_that_hangs_every_operation_ends_in_time(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    await backend.collection(Thing).insert(thing())
    mongod.pause()
    try:
        started = time.monotonic()
        calls = (every_operation(backend) * 10)[:60]
        outcomes = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        assert time.monotonic() - started < TIMEOUT + 1.5
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}
    finally:
        mongod.resume()
    await backend.ping()


@each_driver
async def test_close_does_not_wait_long_for_a_server_that_hangs(
    url: str, mongod: Mongod, driver: Driver
) -> None:
    backend = MongoDBBackend(url, timeout=TIMEOUT, driver=driver)
    await backend.open([Thing])
    mongod.pause()
    try:
        started = time.monotonic()
        await backend.close()
        assert time.monotonic() - started < 5  # until the driver's heartbeat takes notice
    finally:
        mongod.resume()


@each_driver
async def test_a_server_that_is_not_there_is_unavailable_at_open(driver: Driver) -> None:
    listener, port = bind_unused_port()
    listener.close()
    backend = MongoDBBackend(f"mongodb://127.0.0.1:{port}", timeout=0.3, driver=driver)
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        await backend.open([Thing])
    assert time.monotonic() - started < 1.3
    await backend.close()


async def test_a_backend_that_is_not_open_is_unavailable(url: str) -> None:
    backend = MongoDBBackend(url, timeout=TIMEOUT)
    with pytest.raises(StorageUnavailable, match="not open"):
        await backend.collection(Thing).get("a")
    await backend.close()


def every_operation(backend: MongoDBBackend) -> list[Callable[[], Awaitable[object]]]:
    things = backend.collection(Thing)
    return [
        backend.ping,
        lambda: things.get("a"),
        lambda: things.get_many(["a", "b"]),
        lambda: things.find(owner="o"),
        lambda: things.insert(thing("b")),
        lambda: things.replace(thing("a")),
        lambda: things.delete("a"),
        lambda: things.delete_where(owner="o"),
    ]


# what is stored, and what is said


async def test_numbers_of_another_width_are_read_as_plain_ones(backend: MongoDBBackend) -> None:
    document = {"_id": "a", "version": Int64(0), "name": "n", "badge": "b", "count": Int64(5)}
    await backend.database[Thing.KIND].insert_one(document)
    record = await backend.collection(Thing).get("a")
    assert record
    assert (type(record.count), type(record.version)) == (int, int)
    assert (await backend.collection(Thing).replace(record)).version == 1


async def test_a_document_holds_its_id_once(backend: MongoDBBackend) -> None:
    await backend.collection(Thing).insert(thing(expires_at=60))
    document = await backend.database[Thing.KIND].find_one({})
    fields = {field.name for field in dataclasses.fields(Thing)}
    assert set(document) == fields - {"id"} | {"_id", "_purge_at", "_mark"}
    assert document["_id"] == "a"
    assert document["_purge_at"] == datetime(1970, 1, 1, 0, 1)


# S149
@each_driver
@pytest.mark.parametrize("port", ["the server's", "closed"])
async def test_no_message_holds_the_password(
    mongod: Mongod, driver: Driver, port: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    listener, closed_port = bind_unused_port()
    listener.close()
    host = f"127.0.0.1:{mongod.port if port != 'closed' else closed_port}"
    backend = MongoDBBackend(f"mongodb://ann:s3cr3t@{host}/x", timeout=0.4, driver=driver)
    with pytest.raises(StorageUnavailable) as caught:
        await backend.open([Thing])
    assert caught.value.__cause__ is not None
    await backend.close()
    for text in (*traceback.format_exception(caught.value), repr(backend), caplog.text):
        assert "s3cr3t" not in text


# S149
@each_driver
@pytest.mark.parametrize(
    "url",
    [
        "mongodb://ann:s3c/r3t@localhost/x",
        "mongodb://ann:s3cr3t@localhost:port/x",
        "mongodb://ann:s3cr3t@localhost/x?readPreference=odd",
        "mongodb://ann:s3cr3t@/x",
        "mongodb+srv://ann:s3cr3t@localhost:1/x",
        "mongodb://ann:s3cr3t@localhost/x?tsl=true",
    ],
)
async def test_an_address_that_the_driver_refuses_is_a_settings_error(
    url: str, driver: Driver
) -> None:
    backend = MongoDBBackend(url, timeout=0.3, driver=driver)
    with pytest.raises(SettingsError) as caught:
        await backend.open([Thing])
    text = "".join(traceback.format_exception(caught.value))
    assert "DATABASE_URL" in text
    assert "s3c" not in text.replace(url, "")
    await backend.close()
