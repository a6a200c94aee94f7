"""The MongoDB backend (`mongodb://...`, `mongodb+srv://...`), over Motor.

Owns the client, its time limits, the indexes, and what happens when an answer is lost: then the
write may or may not have happened, so each one carries a mark by which it finds itself again.
The calls are those that Motor and PyMongo's AsyncMongoClient share, so that leaving Motor, which
has reached its end of life, is a change of the default in this file. Never puts anything of the
address into a message: it may hold a password.
"""

import asyncio
import contextlib
import dataclasses
import inspect
import os
import warnings
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Any, Generic, Literal, TypeVar

import pymongo
from bson import json_util
from bson.errors import BSONError
from pymongo import ASCENDING, IndexModel, ReadPreference
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern

from tornado_auth.errors import (
    AlreadyExists,
    PositionLost,
    SettingsError,
    Stale,
    StorageError,
    StorageUnavailable,
)
from tornado_auth.models import Record
from tornado_auth.storage import Inserted, documents
from tornado_auth.storage.codec import from_document, indexed_fields
from tornado_auth.storage.patience import Attempt, Errors, Steps, Turns, persist

R = TypeVar("R", bound=Record)
T = TypeVar("T")

DEFAULT_DATABASE = "tornado_auth"
INDEX_LIMIT = 60.0  # seconds to build an index when the service starts
GRACE = 0.25  # seconds: let the driver's own, clearer error come first
IDS_IN_A_QUERY = 500
IDLE_REPORT = 0.25  # seconds after which a feed says that there is nothing
# Motor's pool has 5 threads a core, and the driver's time limit starts only inside a thread. With
# one for each connection (maxPoolSize) nobody queues. Motor reads this when it is imported.
MOTOR_WORKERS = 100
# Together fewer than the connections: writes that wait for a primary must keep no read out.
RUNNING_READS = 32
RUNNING_WRITES = 64
WAITING = 500

ERRORS = Errors(
    kind=PyMongoError,
    may_pass=lambda error: (
        isinstance(error, ConnectionFailure | WriteConcernError)
        or error.timeout
        or error.has_error_label("RetryableWriteError")
    ),
    broke_the_connection=lambda error: isinstance(error, AutoReconnect) and not error.timeout,
    # When the driver itself tries again, it raises the error of its first attempt.
    came_before=lambda error: isinstance(error, ServerSelectionTimeoutError),
)


class MongoDBBackend:
    """A `Backend` over one database: the one that the address names, else `tornado_auth`.

    `timeout` is in seconds and bounds each operation, unless the address sets `timeoutMS`. A write
    is tried again for `write_timeout` seconds, if that is longer, while there is no primary.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        write_timeout: float | None = None,
        driver: Literal["motor", "pymongo"] = "motor",
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._write_timeout = write_timeout if write_timeout and write_timeout > timeout else 0.0
        self._reads = Turns("MongoDB", running=RUNNING_READS, waiting=WAITING)
        self._writes = Turns("MongoDB", running=RUNNING_WRITES, waiting=WAITING)
        self._make_client = _motor_client if driver == "motor" else pymongo.AsyncMongoClient[Any]
        self._client: Any = None
        self.has_feed = False

    def collection(self, record_type: type[R]) -> "MongoDBCollection[R]":
        """See `Backend.collection`."""
        return MongoDBCollection(self, record_type)

    async def open(self, record_types: Sequence[type[Record]]) -> None:
        """See `Backend.open`; raises SettingsError for an address that the driver refuses."""
        if self._client is None:
            self._client = self._connect()
        hello = await self.run(lambda _: self.database.command("hello"))
        # Change streams rest on the log that the members of a set share.
        self.has_feed = "setName" in hello or hello.get("msg") == "isdbgrid"
        for record_type in record_types:
            await self.collection(record_type).create_indexes()

    async def ping(self) -> None:
        """See `Backend.ping`."""
        await self.run(lambda _: self.database.command("ping"))

    async def close(self) -> None:
        """See `Backend.close`."""
        client, self._client = self._client, None
        if client is None:
            return
        if inspect.iscoroutinefunction(client.close):
            await client.close()
        else:
            # Motor's close() takes leave of the server on the thread that calls it.
            await asyncio.to_thread(client.close)

    @property
    def database(self) -> Any:
        """The driver's database; raises StorageUnavailable before `open` and after `close`."""
        if self._client is None:
            raise StorageUnavailable("MongoDB: not open")
        # Whatever the address says: a secondary may not know yet that a session has ended.
        primary = ReadPreference.PRIMARY
        return self._client.get_default_database(DEFAULT_DATABASE, read_preference=primary)

    async def read(self, attempt: Attempt[T]) -> T:
        """Await `attempt(0)`, and if the connection broke meanwhile `attempt(1)`."""
        return await self.run(attempt, turns=self._reads)

    async def write(self, attempt: Attempt[T]) -> T:
        """Await `attempt(0)`, and again until `write_timeout` while it fails of what may pass.

        The number is that of earlier attempts of which nobody knows whether they took effect.
        """
        return await self.run(attempt, turns=self._writes, patience=self._write_timeout)

    async def run(
        self, attempt: Attempt[T], *, turns: Turns | None = None, patience: float = 0.0
    ) -> T:
        """Do as above, in turn or at once, with so many seconds of patience or none."""
        try:
            async with asyncio.timeout(max(self.limit, patience + GRACE)):
                async with turns.turn() if turns else contextlib.nullcontext():
                    return await persist(attempt, ERRORS, patience=patience)
        except (PyMongoError, TimeoutError) as error:
            raise StorageUnavailable(f"MongoDB: {type(error).__name__}") from error

    @property
    def limit(self) -> float:
        """How many seconds an operation may take before it is given up."""
        # The driver knows what the address says; it alone does not bound the wait for a thread.
        own = self._client.options.timeout if self._client is not None else None
        return float(own or self._timeout) + GRACE

    def _connect(self) -> Any:
        options = documents.default_options(self._url, self._timeout)
        try:
            with warnings.catch_warnings():
                # The driver warns of an option that it does not know, and goes on without it.
                warnings.simplefilter("error", UserWarning)
                return self._make_client(self._url, **options)
        except (PyMongoError, ValueError, UserWarning) as error:
            problem = f"not an address that the MongoDB driver takes ({type(error).__name__})"
            remedy = "Check hosts, percent-encoding of the password, names and values of options."
            raise SettingsError([f"DATABASE_URL: {problem}. {remedy}"]) from None


class MongoDBCollection(Generic[R]):
    """A `Collection` over one MongoDB collection; `_id` is the record's id."""

    def __init__(self, backend: MongoDBBackend, record_type: type[R]) -> None:
        self._backend = backend
        self._type = record_type
        self._indexed = indexed_fields(record_type)

    async def insert(self, record: R) -> None:
        """See `Collection.insert`."""
        document = {"_id": record.id, **documents.members_of(record)}

        async def attempt(unknown: int) -> None:
            try:
                await self._documents.insert_one(document)
            except DuplicateKeyError as error:
                if not (unknown and await self._was_written(document)):
                    raise AlreadyExists(documents.taken_field(error.details)) from None

        await self._backend.write(attempt)

    async def get(self, id: str) -> R | None:
        """See `Collection.get`."""
        condition = documents.equals(_id=id)
        document = await self._backend.read(lambda _: self._documents.find_one(condition))
        return None if document is None else self.record(document)

    async def get_many(self, ids: Sequence[str]) -> dict[str, R]:
        """See `Collection.get_many`."""
        found: list[R] = []
        for start in range(0, len(ids), IDS_IN_A_QUERY):
            condition = {"_id": {"$in": list(ids[start : start + IDS_IN_A_QUERY])}}
            found += await self._find(condition, limit=IDS_IN_A_QUERY)
        return {record.id: record for record in found}

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """See `Collection.find`."""
        condition = {"_id": {"$gt": after}, **documents.equals(**equal)}
        return await self._find(condition, limit=limit, sort=[("_id", ASCENDING)])

    async def search(
        self, field: str, prefix: str, *, after: str = "", limit: int = 100
    ) -> list[R]:
        """See `Collection.search`."""
        condition = documents.begins(field, prefix, after=after)
        return await self._find(condition, limit=limit, sort=[(field, ASCENDING)])

    async def _find(self, condition: dict[str, Any], *, limit: int, **order: Any) -> list[R]:
        order |= {"limit": limit, "batch_size": limit + 1}  # so all of it comes in one answer
        found = await self._backend.read(
            lambda _: self._documents.find(condition, **order).to_list(None)
        )
        return [self.record(document) for document in found]

    async def replace(self, record: R) -> R:
        """See `Collection.replace`; StorageUnavailable if nobody can say whether it happened."""
        replaced = dataclasses.replace(record, version=record.version + 1)
        condition = documents.equals(_id=record.id, version=record.version)
        # Not a whole new document: what a newer process wrote besides must stay.
        members = documents.members_of(replaced)

        async def attempt(unknown: int) -> R:
            try:
                result = await self._documents.update_one(condition, {"$set": members})
            except DuplicateKeyError as error:
                raise AlreadyExists(documents.taken_field(error.details)) from None
            if result.matched_count or (
                unknown and await self._was_written({"_id": record.id, **members})
            ):
                return replaced
            if unknown:
                raise StorageUnavailable("MongoDB: the record changed, perhaps by this very call")
            raise Stale(f"{self._type.KIND}: changed since it was read")

        return await self._backend.write(attempt)

    async def delete(self, id: str) -> bool:
        """See `Collection.delete`; StorageUnavailable if nobody can say who removed it."""

        async def attempt(unknown: int) -> bool:
            result = await self._documents.delete_one(documents.equals(_id=id))
            if unknown and not result.deleted_count:
                raise StorageUnavailable("MongoDB: the record is gone, perhaps by this very call")
            return bool(result.deleted_count)

        return await self._backend.write(attempt)

    async def delete_where(self, **equal: str) -> int:
        """See `Collection.delete_where`; counts only what the last attempt removed."""
        condition = documents.equals(**equal)
        done = await self._backend.write(lambda _: self._documents.delete_many(condition))
        return int(done.deleted_count)

    async def purge(self, now: int) -> int:
        """Return 0: the TTL index removes what has expired, within a minute or so."""
        return 0

    def follow(self, position: str = "") -> AsyncGenerator[Inserted[R], None] | None:
        """See `Collection.follow`: a change stream, which tells what a majority has."""
        return self._follow(position) if self._backend.has_feed else None

    async def _follow(self, position: str) -> AsyncGenerator[Inserted[R], None]:
        stream = _ChangeStream(self._documents, position, self._backend.limit - GRACE)
        try:
            await stream.open()
            inserted = await stream.read() if position else []  # after an old one all is unknown
            while True:
                yield Inserted(tuple(map(self.record, inserted)), stream.position)
                inserted = await stream.read()
        finally:
            await stream.close()

    async def create_indexes(self) -> None:
        """Make the indexes that are missing; any number of processes may do it at once."""
        indexes = [
            IndexModel([(documents.PURGE_AT, ASCENDING)], expireAfterSeconds=0),
            *(IndexModel([(name, ASCENDING)], unique=True) for name in self._type.UNIQUE),
            *(IndexModel([(name, ASCENDING), ("_id", ASCENDING)]) for name in self._type.INDEX),
        ]
        with pymongo.timeout(INDEX_LIMIT):
            create = self._documents.create_indexes
            await self._backend.run(lambda _: create(indexes), patience=INDEX_LIMIT)

    @property
    def _documents(self) -> Any:
        return self._backend.database[self._type.KIND]

    async def _was_written(self, document: dict[str, Any]) -> bool:
        # A write that changes nothing, not a read: it waits until a majority has the document.
        mark = {documents.MARK: document[documents.MARK]}
        own = documents.equals(_id=document["_id"], **mark)
        return bool((await self._documents.update_one(own, {"$set": mark})).matched_count)

    def record(self, document: dict[str, Any]) -> R:
        """Build the record that a document holds."""
        document["id"] = document["_id"]
        return from_document(self._type, document)


class _ChangeStream:
    """The inserts of one collection, from a driver's change stream; `timeout` is in seconds."""

    def __init__(self, collection: Any, position: str, timeout: float) -> None:
        self.position = position
        self._collection = collection
        self._timeout = timeout
        self._steps = Steps(timeout + GRACE)
        self._stream: Any = None

    async def open(self) -> None:
        """Begin after the position, or else now."""
        try:
            token = dict(json_util.loads(self.position)) if self.position else None
        except (ValueError, TypeError, BSONError) as error:
            raise PositionLost("MongoDB: not a position") from error
        await self._finish(self._open(token))
        self.position = json_util.dumps(self._stream.resume_token)

    async def read(self) -> list[dict[str, Any]]:
        """Ask once, and return what there is: everything that was inserted before the question."""
        inserted = []
        driver = getattr(self._stream, "delegate", self._stream)
        cursor = driver._cursor
        change = await self._finish(self._stream.try_next())
        while change is not None:
            inserted.append(change["fullDocument"])
            # Another try_next() would wait for what is yet to come.
            change = await self._finish(self._stream.try_next()) if cursor._has_next() else None
        if not self._stream.alive:
            raise PositionLost("MongoDB: the collection is gone")
        servers = self._collection.database.client.topology_description.server_descriptions()
        server = servers.get(cursor.address)
        # A secondary may lag, and a driver that went on elsewhere need not have asked there.
        if driver._cursor is not cursor or not (server and server.is_writable):
            raise StorageUnavailable("MongoDB: another primary")
        self.position = json_util.dumps(self._stream.resume_token)
        return inserted

    async def close(self) -> None:
        """Let go of the cursor; what fails here has failed before, or ends by itself."""
        await self._steps.settle()
        if self._stream is not None:
            with contextlib.suppress(StorageError), pymongo.timeout(GRACE):
                await self._finish(self._stream.close())

    async def _open(self, token: dict[str, Any] | None) -> None:
        with pymongo.timeout(self._timeout):
            stream = self._collection.watch(
                [{"$match": {"operationType": "insert"}}],
                resume_after=token,
                max_await_time_ms=round(min(IDLE_REPORT, self._timeout / 2) * 1000),
            )
            self._stream = await stream if inspect.isawaitable(stream) else stream
            await self._stream.__aenter__()
            # Proves that the server is the primary, and that it knows what a majority has.
            linear = self._collection.with_options(read_concern=ReadConcern("linearizable"))
            await linear.find_one({"_id": ""})

    async def _finish(self, step: Awaitable[T]) -> T:
        try:
            return await self._steps.finish(step)
        except (PyMongoError, TimeoutError) as error:
            raise self._error(error) from error

    def _error(self, error: PyMongoError | TimeoutError) -> StorageError:
        refused = isinstance(error, OperationFailure) and not (
            error.timeout or error.has_error_label("ResumableChangeStreamError")
        )
        if refused and self.position:
            return PositionLost("MongoDB: cannot go on from there")
        return StorageUnavailable(f"MongoDB: {type(error).__name__}")


def _motor_client(url: str, **options: Any) -> Any:
    os.environ.setdefault("MOTOR_MAX_WORKERS", str(MOTOR_WORKERS))
    from motor.motor_asyncio import AsyncIOMotorClient

    return AsyncIOMotorClient(url, io_loop=asyncio.get_running_loop(), **options)
