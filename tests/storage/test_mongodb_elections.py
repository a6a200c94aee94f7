"""A replica set of three that loses its primary: no write fails, and no feed misses anything."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pymongo
import pytest
from pymongo.errors import PyMongoError

from tests.mongod import Mongod, ReplicaSet, fresh_database, wait_until
from tests.storage import TIMEOUT, Driver, each_driver
from tornado_auth.errors import StorageUnavailable
from tornado_auth.storage import Collection, Inserted
from tornado_auth.storage.contract_records import Thing, thing
from tornado_auth.storage.mongodb import MongoDBBackend

pytestmark = pytest.mark.long

WRITE_TIMEOUT = 15.0
WRITERS = 10


@pytest.fixture(scope="module")
def replica_set() -> Iterator[ReplicaSet]:
    replica_set = ReplicaSet(3)
    try:
        yield replica_set
    finally:
        replica_set.remove()


@pytest.fixture
def url(replica_set: ReplicaSet) -> Iterator[str]:
    """The address of a fresh database on the set, all of whose members are up."""
    states = [state(member) for member in replica_set.members]
    wait_until(lambda: is_whole(replica_set), f"the set does not recover from {states}")
    with fresh_database(replica_set.url) as url:
        yield url


@pytest.fixture
async def backend(url: str, driver: Driver) -> AsyncIterator[MongoDBBackend]:
    backend = MongoDBBackend(url, timeout=TIMEOUT, write_timeout=WRITE_TIMEOUT, driver=driver)
    await backend.open([Thing])
    yield backend
    await backend.close()


def state(member: Mongod) -> str:
    with (
        contextlib.suppress(PyMongoError),
        pymongo.MongoClient[dict[str, Any]](member.url, serverSelectionTimeoutMS=500) as client,
    ):
        hello = client.admin.command("hello")
        return "primary" if hello["isWritablePrimary"] else "secondary" * hello["secondary"]
    return "away"


def is_whole(replica_set: ReplicaSet) -> bool:
    states = sorted(state(member) for member in replica_set.members)
    return states == ["primary", "secondary", "secondary"]


def primary_of(replica_set: ReplicaSet) -> Mongod:
    return next(member for member in replica_set.members if state(member) == "primary")


async def write(things: Collection[Thing], writer: int, until: asyncio.Event) -> list[Thing]:
    """Insert one thing after another and change it; return what must be there then."""
    written: list[Thing] = []
    while not until.is_set():
        name = f"{len(written):04} of {writer}"
        await things.insert(thing(name))
        written.append(await things.replace(thing(name, count=len(written))))
    return written


# S140
@each_driver
async def test_writes_outlast_an_election_and_happen_once(
    backend: MongoDBBackend, replica_set: ReplicaSet
) -> None:
    things, over = backend.collection(Thing), asyncio.Event()
    listener = Listener(things)
    await listener.begin()
    writers = [asyncio.ensure_future(write(things, n, over)) for n in range(WRITERS)]
    await asyncio.sleep(0.5)
    primary = primary_of(replica_set)
    primary.kill()
    try:
        killed_at = time.monotonic()
        await things.insert(thing("after the election"))
        assert time.monotonic() - killed_at > 0.5  # or nothing was lost
        await asyncio.sleep(0.5)
        over.set()
        written = [record for writer in await asyncio.gather(*writers) for record in writer]
    finally:
        primary.start()
    found = await everything(things)
    assert sorted(record.id for record in found) == sorted(
        ["after the election", *(record.id for record in written)]
    )
    assert {record.id: record for record in found}.items() >= {
        (record.id, record) for record in written
    }
    assert all(record.version == 1 for record in written)
    assert sorted(await listener.end()) == sorted(record.id for record in found)  # each once
    assert listener.interruptions


# S140
@each_driver
async def test_a_step_down_is_no_gap_in_a_feed(
    backend: MongoDBBackend, replica_set: ReplicaSet
) -> None:
    things = backend.collection(Thing)
    listener = Listener(things)
    await listener.begin()
    for number in range(60):
        if number == 20:
            step_down(primary_of(replica_set))
        await things.insert(thing(f"{number:03}"))
        await asyncio.sleep(0.005)
    assert await listener.end() == [f"{number:03}" for number in range(60)]
    assert listener.interruptions


async def test_a_write_counts_only_once_a_majority_has_it(
    backend: MongoDBBackend, replica_set: ReplicaSet, url: str
) -> None:
    impatient = MongoDBBackend(url, timeout=TIMEOUT)
    await impatient.open([])
    primary = primary_of(replica_set)
    secondaries = [member for member in replica_set.members if member is not primary]
    for member in secondaries:
        member.pause()
    try:
        insert = asyncio.ensure_future(backend.collection(Thing).insert(thing()))
        with pytest.raises(StorageUnavailable):
            await impatient.collection(Thing).insert(thing("b"))
        await asyncio.sleep(0.5)
        assert not insert.done()  # although the primary, if it still is one, has it
    finally:
        for member in secondaries:
            member.resume()
    await insert
    assert await everything(backend.collection(Thing)) >= [thing()]
    await impatient.close()


class Listener:
    """Follows things, as a process does, over every interruption; keeps the ids in order."""

    def __init__(self, things: Collection[Thing]) -> None:
        self._things = things
        self._position = ""
        self._last_question = False
        self._begun = asyncio.Event()
        self._task = asyncio.ensure_future(self._follow())
        self.heard: list[str] = []
        self.interruptions = 0

    async def begin(self) -> None:
        await self._begun.wait()

    async def end(self) -> list[str]:
        """Ask once more, and return everything that was heard."""
        self._last_question = True
        await self._task
        return self.heard

    async def _follow(self) -> None:
        while True:
            feed = self._things.follow(self._position)
            assert feed is not None
            try:
                async with contextlib.aclosing(feed):
                    if await self._listen(feed):
                        return
            except StorageUnavailable:
                self.interruptions += 1
                await asyncio.sleep(0.1)

    async def _listen(self, feed: AsyncGenerator[Inserted[Thing], None]) -> bool:
        while True:
            is_last = self._last_question
            report = await anext(feed)
            self.heard += [record.id for record in report.records]
            self._position = report.position
            self._begun.set()
            if is_last:
                return True


async def everything(things: Collection[Thing]) -> list[Thing]:
    for _ in range(50):  # while the primary is being elected
        with contextlib.suppress(StorageUnavailable):
            return await things.find(limit=100_000)
        await asyncio.sleep(0.1)
    raise TimeoutError


def step_down(member: Mongod) -> None:
    with pymongo.MongoClient[dict[str, Any]](member.url) as client:
        client.admin.command("replSetStepDown", 5, secondaryCatchUpPeriodSecs=2)
