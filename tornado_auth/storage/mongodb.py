"""The MongoDB backend (`mongodb://...`, `mongodb+srv://...`), over Motor.

Owns the client, its time limits, the indexes, and what happens when an answer is lost: then the
write may or may not have happened, so each one carries a mark by which it finds itself again.
The calls are those that Motor and PyMongo's AsyncMongoClient share, so that leaving Motor, which
has reached its end of life, is a change of the default in this file.

Never puts anything of the address into a message: it may hold a password.
"""

import asyncio
import dataclasses
import inspect
import os
import re
import secrets
import warnings
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar

import pymongo
from bson.int64 import Int64
from pymongo import ASCENDING, IndexModel
from pymongo.errors import AutoReconnect, DuplicateKeyError, PyMongoError

from tornado_auth.errors import AlreadyExists, SettingsError, Stale, StorageUnavailable
from tornado_auth.models import Record
from tornado_auth.storage.codec import from_document, indexed_fields, to_document

R = TypeVar("R", bound=Record)
T = TypeVar("T")

DEFAULT_DATABASE = "tornado_auth"
INDEX_LIMIT = 60.0  # seconds to build an index when the service starts
GRACE = 0.25  # seconds: let the driver's own, clearer error come first

# Motor runs PyMongo in a pool of 5 threads a core, and the driver's time limit starts only inside
# a thread: behind a server that hangs, callers queue for a multiple of it. As many threads as the
# driver has connections (maxPoolSize) end the queue. Motor reads the variable when it is imported.
MOTOR_WORKERS = 100

_PURGE_AT = "_purge_at"  # expires_at as a date, for the TTL index
_MARK = "_mark"  # which call wrote the document last


class MongoDBBackend:
    """A `Backend` over one database: the one that the address names, else `tornado_auth`.

    `timeout` is in seconds and bounds each operation, unless the address sets `timeoutMS`.
    """

    def __init__(
        self, url: str, *, timeout: float, driver: Literal["motor", "pymongo"] = "motor"
    ) -> None:
        self._url = url
        self._timeout = timeout
        self._make_client = _motor_client if driver == "motor" else pymongo.AsyncMongoClient[Any]
        self._client: Any = None

    def collection(self, record_type: type[R]) -> "MongoDBCollection[R]":
        """See `Backend.collection`."""
        return MongoDBCollection(self, record_type)

    async def open(self, record_types: Sequence[type[Record]]) -> None:
        """See `Backend.open`; raises SettingsError for an address that the driver refuses."""
        if self._client is None:
            self._client = self._connect()
        await self.ping()
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
        return self._client.get_default_database(DEFAULT_DATABASE)

    async def run(self, attempt: Callable[[int], Awaitable[T]], *, limit: float | None = None) -> T:
        """Await `attempt(0)`, and if the connection broke meanwhile `attempt(1)`, within the limit.

        The number is that of earlier attempts of which nobody knows whether they took effect.
        """
        try:
            async with asyncio.timeout(limit or self._limit):
                try:
                    return await attempt(0)
                except AutoReconnect as error:
                    if error.timeout:
                        raise
                    return await attempt(1)
        except (PyMongoError, TimeoutError) as error:
            raise StorageUnavailable(f"MongoDB: {type(error).__name__}") from error

    @property
    def _limit(self) -> float:
        # The driver knows what the address says; it alone does not bound the wait for a thread.
        own = self._client.options.timeout if self._client is not None else None
        return float(own or self._timeout) + GRACE

    def _connect(self) -> Any:
        options = default_options(self._url, self._timeout)
        try:
            with warnings.catch_warnings():
                # The driver warns of an option that it does not know, and goes on without it.
                warnings.simplefilter("error", UserWarning)
                return self._make_client(self._url, **options)
        except (PyMongoError, ValueError, UserWarning) as error:
            problem = (
                f"DATABASE_URL: not an address that the MongoDB driver takes "
                f"({type(error).__name__}). Check the hosts, the percent-encoding of the password, "
                "and the names and values of the options."
            )
            raise SettingsError([problem]) from None


class MongoDBCollection(Generic[R]):
    """A `Collection` over one MongoDB collection; `_id` is the record's id."""

    def __init__(self, backend: MongoDBBackend, record_type: type[R]) -> None:
        self._backend = backend
        self._type = record_type
        self._indexed = indexed_fields(record_type)

    async def insert(self, record: R) -> None:
        """See `Collection.insert`."""
        document = {"_id": record.id, **_members(record)}

        async def attempt(unknown: int) -> None:
            try:
                await self._documents.insert_one(document)
            except DuplicateKeyError as error:
                if not (unknown and await self._was_written(document)):
                    raise AlreadyExists(_taken_field(error)) from None

        await self._backend.run(attempt)

    async def get(self, id: str) -> R | None:
        """See `Collection.get`."""
        document = await self._backend.run(lambda _: self._documents.find_one(_equal(_id=id)))
        return None if document is None else self._record(document)

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """See `Collection.find`."""
        condition = {"_id": {"$gt": after}, **_equal(**equal)}

        def attempt(_: int) -> Awaitable[list[dict[str, Any]]]:
            cursor = self._documents.find(condition).sort("_id", ASCENDING).limit(limit)
            found: Awaitable[list[dict[str, Any]]] = cursor.to_list(limit)
            return found

        return [self._record(document) for document in await self._backend.run(attempt)]

    async def replace(self, record: R) -> R:
        """See `Collection.replace`; StorageUnavailable if nobody can say whether it happened."""
        replaced = dataclasses.replace(record, version=record.version + 1)
        condition = _equal(_id=record.id, version=record.version)
        # Not a whole new document: what a newer process wrote besides must stay.
        members = _members(replaced)

        async def attempt(unknown: int) -> R:
            try:
                result = await self._documents.update_one(condition, {"$set": members})
            except DuplicateKeyError as error:
                raise AlreadyExists(_taken_field(error)) from None
            if result.matched_count or (
                unknown and await self._was_written({"_id": record.id, **members})
            ):
                return replaced
            if unknown:
                raise StorageUnavailable("MongoDB: the record changed, perhaps by this very call")
            raise Stale(f"{self._type.KIND}: changed since it was read")

        return await self._backend.run(attempt)

    async def delete(self, id: str) -> bool:
        """See `Collection.delete`; StorageUnavailable if nobody can say who removed it."""

        async def attempt(unknown: int) -> bool:
            result = await self._documents.delete_one(_equal(_id=id))
            if unknown and not result.deleted_count:
                raise StorageUnavailable("MongoDB: the record is gone, perhaps by this very call")
            return bool(result.deleted_count)

        return await self._backend.run(attempt)

    async def delete_where(self, **equal: str) -> int:
        """See `Collection.delete_where`; counts only what the last of two attempts removed."""
        condition = _equal(**equal)
        result = await self._backend.run(lambda _: self._documents.delete_many(condition))
        return int(result.deleted_count)

    async def purge(self, now: int) -> int:
        """Return 0: the TTL index removes what has expired, within a minute or so."""
        return 0

    async def create_indexes(self) -> None:
        """Make the indexes that are missing; any number of processes may do it at once."""
        indexes = [
            IndexModel([(_PURGE_AT, ASCENDING)], expireAfterSeconds=0),
            *(IndexModel([(name, ASCENDING)], unique=True) for name in self._type.UNIQUE),
            *(IndexModel([(name, ASCENDING), ("_id", ASCENDING)]) for name in self._type.INDEX),
        ]
        with pymongo.timeout(INDEX_LIMIT):
            await self._backend.run(
                lambda _: self._documents.create_indexes(indexes), limit=INDEX_LIMIT + GRACE
            )

    @property
    def _documents(self) -> Any:
        return self._backend.database[self._type.KIND]

    async def _was_written(self, document: dict[str, Any]) -> bool:
        own = _equal(_id=document["_id"], **{_MARK: document[_MARK]})
        return await self._documents.find_one(own) is not None

    def _record(self, document: dict[str, Any]) -> R:
        # BSON's 64-bit numbers come back as a subclass of int, which the guard would refuse.
        values = {k: int(v) if type(v) is Int64 else v for k, v in document.items()}
        return from_document(self._type, values | {"id": document["_id"]})


def _motor_client(url: str, **options: Any) -> Any:
    os.environ.setdefault("MOTOR_MAX_WORKERS", str(MOTOR_WORKERS))
    from motor.motor_asyncio import AsyncIOMotorClient

    return AsyncIOMotorClient(url, io_loop=asyncio.get_running_loop(), **options)


def default_options(url: str, timeout: float) -> dict[str, Any]:
    """Return the client options that the address leaves open; `timeout` is in seconds.

    Without them a server that hangs holds an operation up for half a minute.
    """
    milliseconds = round(timeout * 1000)
    options = {
        "timeoutMS": milliseconds,
        "serverSelectionTimeoutMS": milliseconds,
        "connectTimeoutMS": 1000,
        "heartbeatFrequencyMS": 1000,
        "retryWrites": True,
        "w": "majority",
        "appname": "tornado_auth",
    }
    pairs = re.split("[&;]", url.partition("?")[2])
    chosen = {pair.partition("=")[0].lower() for pair in pairs}
    return {name: value for name, value in options.items() if name.lower() not in chosen}


def _members(record: Record) -> dict[str, Any]:
    document = to_document(record)
    del document["id"]
    return document | {_PURGE_AT: _date(record.expires_at), _MARK: secrets.token_hex(16)}


def _date(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # beyond the year 9999, or before the first
        return None


def _equal(**values: str | int) -> dict[str, Any]:
    # $eq: even a value that got past the guard is compared, never obeyed.
    return {name: {"$eq": value} for name, value in values.items()}


def _taken_field(error: DuplicateKeyError) -> str:
    details = error.details or {}
    field = next(iter(details.get("keyPattern", {"_id": 1})))
    return "id" if field == "_id" else str(field)
