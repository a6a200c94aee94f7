"""Writes whose answer gets lost: they may or may not have happened, and which is found out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pymongo
import pytest
from tornado.testing import bind_unused_port

from tests.mongod import Mongod
from tests.storage import Driver, each_driver
from tornado_auth.errors import AlreadyExists, Stale, StorageUnavailable
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.mongodb import MongoDBBackend


class Proxy:
    """A TCP proxy that can lose the answer to a command, after the server has carried it out."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lose = b""
        self._connections: set[asyncio.Task[None]] = set()
        self.lost = 0

    def lose_the_answer_to(self, command: str) -> None:
        self._lose = b"\x02" + command.encode() + b"\0"

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.ensure_future(self._forward(reader, writer)))

    async def disconnect(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket one step later

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        losing = asyncio.Event()
        try:
            to_server = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                requests = asyncio.ensure_future(self._requests(reader, to_server[1], losing))
                await self._answers(to_server[0], writer, losing)
                requests.cancel()
            finally:
                to_server[1].transport.abort()
        finally:
            writer.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self._lose and self._lose in data:
                self._lose = b""
                losing.set()
            writer.write(data)
        writer.write_eof()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if losing.is_set():
                self.lost += 1
                return
            writer.write(data)


@pytest.fixture
async def proxy(mongod: Mongod) -> AsyncIterator[tuple[Proxy, int]]:
    proxy = Proxy(mongod.port)
    listener, port = bind_unused_port()
    server = await asyncio.start_server(proxy.connect, sock=listener)
    yield proxy, port
    server.close()
    await proxy.disconnect()


@pytest.fixture
async def shaky(
    proxy: tuple[Proxy, int], url: str, mongod: Mongod, driver: Driver
) -> AsyncIterator[MongoDBBackend]:
    """A backend that speaks to the server through the proxy."""
    through = url.replace(str(mongod.port), str(proxy[1]))
    backend = MongoDBBackend(through, timeout=5, driver=driver)
    await backend.open([Thing])
    yield backend
    await backend.close()


@each_driver
async def test_an_insert_whose_answer_was_lost_counts_as_done(
    shaky: MongoDBBackend, proxy: tuple[Proxy, int]
) -> None:
    proxy[0].lose_the_answer_to("insert")
    await shaky.collection(Thing).insert(thing())
    assert proxy[0].lost == 1
    assert await shaky.collection(Thing).find() == [thing()]


async def test_an_insert_is_not_done_because_somebody_else_did_the_same(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    await backend.collection(Thing).insert(thing())
    break_the_connection_once(mongod, "insert")
    with pytest.raises(AlreadyExists) as caught:
        await backend.collection(Thing).insert(thing())
    assert caught.value.field == "id"


@each_driver
async def test_a_replace_whose_answer_was_lost_counts_as_done(
    shaky: MongoDBBackend, proxy: tuple[Proxy, int]
) -> None:
    things = shaky.collection(Thing)
    await things.insert(thing())
    proxy[0].lose_the_answer_to("update")
    assert await things.replace(thing(count=1)) == thing(count=1, version=1)
    assert proxy[0].lost == 1
    assert await things.get("a") == thing(count=1, version=1)


async def test_a_replace_is_in_doubt_when_its_answer_was_lost_and_the_record_moved_on(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    things = backend.collection(Thing)
    await things.insert(thing())
    await things.replace(thing(count=1))
    break_the_connection_once(mongod, "update")
    with pytest.raises(StorageUnavailable, match="perhaps"):
        await things.replace(thing(count=2))
    with pytest.raises(Stale):
        await things.replace(thing(count=2))


async def test_a_delete_is_in_doubt_when_its_answer_was_lost(
    shaky: MongoDBBackend, proxy: tuple[Proxy, int]
) -> None:
    things = shaky.collection(Thing)
    await things.insert(thing())
    proxy[0].lose_the_answer_to("delete")
    with pytest.raises(StorageUnavailable, match="perhaps"):
        await things.delete("a")
    assert proxy[0].lost == 1
    assert await things.delete("a") is False


async def test_a_delete_that_never_arrived_is_done_again(
    backend: MongoDBBackend, mongod: Mongod
) -> None:
    await backend.collection(Thing).insert(thing())
    break_the_connection_once(mongod, "delete")
    assert await backend.collection(Thing).delete("a") is True


def break_the_connection_once(mongod: Mongod, command: str) -> None:
    """Let the server drop the next such command unread, and the connection with it."""
    with pymongo.MongoClient[dict[str, Any]](mongod.url) as client:
        client.admin.command(
            "configureFailPoint",
            "failCommand",
            mode={"times": 1},
            data={"failCommands": [command], "closeConnection": True},
        )
