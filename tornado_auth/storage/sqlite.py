"""The embedded backend: one SQLite file (`sqlite:///relative.db`, `sqlite:////absolute.db`).

Owns the file, a read-only connection on the loop's thread and a writing one on a thread of its
own. A point read takes microseconds, so it may run on the loop, each in a step of its own; a write
waits for the disk and for other processes, so it runs on the thread. It is one statement, which is
a transaction of its own and waits its turn for the lock; the version of a record and the unique
indexes decide who wins.

Never uses mmap, and never leaves a read transaction open between two calls.
"""
# ruff: noqa: S608 - what is put into a statement are names out of the code, never a value

import asyncio
import contextlib
import dataclasses
import json
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tornado_auth.errors import AlreadyExists, SettingsError, Stale, StorageUnavailable
from tornado_auth.models import Record
from tornado_auth.scheduling import give_way, threads_beside_loop
from tornado_auth.storage.codec import (
    LAST_CHARACTER,
    from_json,
    indexed_fields,
    to_document,
    to_json,
)
from tornado_auth.storage.patience import Turns

if TYPE_CHECKING:
    from tornado_auth.storage import Inserted

R = TypeVar("R", bound=Record)
T = TypeVar("T")

OPEN_PATIENCE = 5.0  # seconds: processes that start together take turns at creating the file
GRACE = 0.25  # seconds: let SQLite's own, clearer error come first
ROWS_ON_LOOP = 100
IDS_IN_A_QUERY = 500
WAITING = 1000  # operations in the line before the thread
PURGE_BATCH = 1000  # rows that one transaction removes, so that other writers get a turn


class SQLiteBackend:
    """A `Backend` over one file on a local disk, for one process or a few.

    `timeout` is in seconds and bounds each operation. Raises SettingsError for an address that
    names no file.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self._file = _File(_path_of(url), timeout)

    def collection(self, record_type: type[R]) -> "SQLiteCollection[R]":
        """See `Backend.collection`."""
        return SQLiteCollection(self._file, record_type)

    async def open(self, record_types: Sequence[type[Record]]) -> None:
        """See `Backend.open`; raises SettingsError if the file's folder does not exist."""
        collections = [self.collection(record_type) for record_type in record_types]

        def create(writer: sqlite3.Connection) -> None:
            for collection in collections:
                collection.create(writer)

        await self._file.open(create)

    async def ping(self) -> None:
        """See `Backend.ping`."""
        await self._file.read("SELECT count(*) FROM sqlite_master", ())

    async def close(self) -> None:
        """See `Backend.close`."""
        await self._file.close()


class SQLiteCollection(Generic[R]):
    """A `Collection` over one table: id, version, expires_at, the record as JSON.

    Each UNIQUE or INDEX field is a column that SQLite computes from the JSON. So a field that gets
    an index later needs no backfill, and is right for what an older process still writes.
    """

    def __init__(self, file: "_File", record_type: type[R]) -> None:
        self._file = file
        self._type = record_type
        self._indexed = indexed_fields(record_type)
        self._table = _quoted(record_type.KIND)
        self._select = f"SELECT body FROM {self._table} WHERE id"

    async def insert(self, record: R) -> None:
        """See `Collection.insert`."""
        await self._file.write(partial(self._insert, record))

    async def get(self, id: str) -> R | None:
        """See `Collection.get`."""
        await give_way()
        rows = await self._file.read(f"{self._select} = ?", (id,))
        return next(iter(self._records(rows)), None)

    async def get_many(self, ids: Sequence[str]) -> dict[str, R]:
        """See `Collection.get_many`."""
        rows = []
        for start in range(0, len(ids), IDS_IN_A_QUERY):
            wanted = _padded(ids[start : start + IDS_IN_A_QUERY])
            rows += await self._file.read(
                f"{self._select} IN ({', '.join('?' * len(wanted))})",
                wanted,
                on_loop=len(ids) <= ROWS_ON_LOOP,
            )
        return {record.id: record for record in self._records(rows)}

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """See `Collection.find`."""
        await give_way()
        where = _where("id > ?", *equal)
        rows = await self._file.read(
            f"SELECT body FROM {self._table} {where} ORDER BY id LIMIT ?",
            (after, *equal.values(), limit),
            on_loop=limit <= ROWS_ON_LOOP,
        )
        return self._records(rows)

    async def search(
        self, field: str, prefix: str, *, after: str = "", limit: int = 100
    ) -> list[R]:
        """See `Collection.search`."""
        await give_way()
        name = _quoted(field)
        # Of two lower bounds SQLite uses one for the index, and not the better one.
        first = (f"{name} > ?", after) if after >= prefix else (f"{name} >= ?", prefix)
        rows = await self._file.read(
            f"SELECT body FROM {self._table} {_where(first[0], f'{name} < ?')}"
            f" ORDER BY {name} LIMIT ?",
            (first[1], prefix + LAST_CHARACTER, limit),
            on_loop=limit <= ROWS_ON_LOOP,
        )
        return self._records(rows)

    async def replace(self, record: R) -> R:
        """See `Collection.replace`."""
        return await self._file.write(partial(self._replace, record))

    async def delete(self, id: str) -> bool:
        """See `Collection.delete`."""
        return await self._file.write(partial(self._delete, "WHERE id = ?", (id,))) == 1

    async def delete_where(self, **equal: str) -> int:
        """See `Collection.delete_where`."""
        where = _where(*equal)
        return await self._file.write(partial(self._delete, where, tuple(equal.values())))

    async def purge(self, now: int) -> int:
        """See `Collection.purge`."""
        expired = f"SELECT id FROM {self._table} WHERE expires_at <= ? LIMIT {PURGE_BATCH}"
        purge = partial(self._delete, f"WHERE id IN ({expired})", (now,))
        removed = batch = await self._file.write(purge)
        while batch == PURGE_BATCH:
            batch = await self._file.write(purge)
            removed += batch
        return removed

    def follow(self, position: str = "") -> "AsyncGenerator[Inserted[R], None] | None":
        """Return None: who wants to know asks again, which takes microseconds."""
        return None

    def create(self, writer: sqlite3.Connection) -> None:
        """Make the table, its columns and indexes where they are missing."""
        writer.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (id TEXT PRIMARY KEY NOT NULL,"
            " version INTEGER NOT NULL, expires_at INTEGER, body TEXT NOT NULL)"
        )
        self._create_index(writer, "expires_at", "WHERE expires_at IS NOT NULL")
        present = {row[1] for row in writer.execute(f"PRAGMA table_xinfo({self._table})")}
        for name in self._indexed:
            column = _quoted(name)
            if name not in present:
                writer.execute(
                    f"ALTER TABLE {self._table} ADD COLUMN {column} TEXT"
                    f" GENERATED ALWAYS AS (json_extract(body, '$.{name}')) VIRTUAL"
                )
            self._create_index(writer, name)

    def _create_index(self, writer: sqlite3.Connection, name: str, condition: str = "") -> None:
        unique = name in self._type.UNIQUE
        index = _quoted(f"{self._type.KIND}_{name}_{'unique' if unique else 'index'}")
        columns = _quoted(name) if unique else f"{_quoted(name)}, id"
        writer.execute(
            f"CREATE {'UNIQUE' if unique else ''} INDEX IF NOT EXISTS {index}"
            f" ON {self._table} ({columns}) {condition}"
        )

    def _insert(self, record: R, writer: sqlite3.Connection) -> None:
        body = to_json(record)
        sql = f"INSERT INTO {self._table} (id, version, expires_at, body) VALUES (?, ?, ?, ?)"
        try:
            writer.execute(sql, (record.id, record.version, record.expires_at, body))
        except sqlite3.IntegrityError:
            if self._rows(writer, "WHERE id = ?", record.id):
                raise AlreadyExists("id") from None
            self._check_unique(record, writer)
            raise  # what was in the way has gone since

    def _replace(self, record: R, writer: sqlite3.Connection) -> R:
        where = "WHERE id = ? AND version = ?"
        rows = self._rows(writer, where, record.id, record.version)
        if not rows:
            raise self._stale()
        replaced = dataclasses.replace(record, version=record.version + 1)
        # A newer process may have written members that this one does not know: they stay.
        body = json.loads(rows[0][0]) | to_document(replaced)
        sql = f"UPDATE {self._table} SET version = ?, expires_at = ?, body = ? {where}"
        values = (replaced.version, replaced.expires_at, to_json(body), record.id, record.version)
        try:
            changed = writer.execute(sql, values).rowcount
        except sqlite3.IntegrityError:
            self._check_unique(record, writer)
            raise
        if not changed:
            raise self._stale()
        return replaced

    def _stale(self) -> Stale:
        return Stale(f"{self._type.KIND}: changed since it was read")

    def _delete(
        self, where: str, parameters: tuple[str | int, ...], writer: sqlite3.Connection
    ) -> int:
        return writer.execute(f"DELETE FROM {self._table} {where}", parameters).rowcount

    def _check_unique(self, record: R, writer: sqlite3.Connection) -> None:
        """Raise AlreadyExists with the field because of which the database has refused a record."""
        for name in self._type.UNIQUE:
            where = f"WHERE {_quoted(name)} = ? AND id <> ?"
            if self._rows(writer, where, getattr(record, name), record.id):
                raise AlreadyExists(name) from None

    def _rows(self, writer: sqlite3.Connection, where: str, *parameters: str | int) -> list[Any]:
        return writer.execute(f"SELECT body FROM {self._table} {where}", parameters).fetchall()

    def _records(self, rows: list[tuple[str]]) -> list[R]:
        return from_json(self._type, [body for (body,) in rows])


class _File:
    """The connections to one file."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._limit = timeout + GRACE
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._turns = Turns("SQLite", running=1, waiting=WAITING)

    async def open(self, create: Callable[[sqlite3.Connection], None]) -> None:
        self._worker = self._worker or threads_beside_loop(1, "sqlite")
        try:
            await self._on_worker(partial(self._prepare, create), None)
        except BaseException:
            await self.close()
            raise
        if self._reader is None:
            uri = f"{self._path.as_uri()}?mode=ro"
            # timeout=0: it is on the loop's thread, where nobody may wait for a lock
            self._reader = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        worker, self._worker = self._worker, None
        if worker is not None:
            await asyncio.get_running_loop().run_in_executor(worker, self._disconnect)
            worker.shutdown(wait=False)

    async def read(
        self, sql: str, parameters: tuple[str | int, ...], *, on_loop: bool = True
    ) -> list[Any]:
        """Run a query, on the loop's thread if it is short and nothing is locked."""
        if self._reader is not None and on_loop:
            # Locked, e.g. while another process recovers the log: wait, but on the other thread.
            with contextlib.suppress(sqlite3.Error):
                return self._reader.execute(sql, parameters).fetchall()
        return await self._on_worker(
            lambda: self._open_writer().execute(sql, parameters).fetchall(), self._limit
        )

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, of which at most one statement changes anything: it is a transaction."""
        return await self._on_worker(lambda: work(self._open_writer()), self._limit)

    async def _on_worker(self, function: Callable[[], T], limit: float | None) -> T:
        if self._worker is None:
            raise StorageUnavailable("SQLite: not open")
        loop = asyncio.get_running_loop()
        try:
            # The thread has a line of its own, in order.
            with self._turns.place():
                async with asyncio.timeout(limit):
                    return await loop.run_in_executor(self._worker, function)
        except sqlite3.Error as error:
            raise StorageUnavailable(f"SQLite: {error}") from error
        except TimeoutError as error:
            raise StorageUnavailable(f"SQLite: no answer in {self._timeout} seconds") from error

    def _prepare(self, create: Callable[[sqlite3.Connection], None]) -> None:
        writer = self._writer or self._connect()
        writer.execute(f"PRAGMA busy_timeout = {int(OPEN_PATIENCE * 1000)}")
        _transaction(writer, create)
        writer.execute(f"PRAGMA busy_timeout = {int(self._timeout * 1000)}")

    def _connect(self) -> sqlite3.Connection:
        _create_private(self._path)
        self._writer = sqlite3.connect(self._path, isolation_level=None, timeout=OPEN_PATIENCE)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")
        return self._writer

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            raise StorageUnavailable("SQLite: not open")
        return self._writer

    def _disconnect(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _transaction(writer: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    writer.execute("BEGIN IMMEDIATE")
    try:
        result = work(writer)
        writer.execute("COMMIT")
    except BaseException:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        raise
    return result


def _path_of(url: str) -> Path:
    name = url.removeprefix("sqlite:///")
    if name in (url, "", ":memory:"):
        raise SettingsError(
            [
                "DATABASE_URL: names no file. Use sqlite:///relative.db or "
                "sqlite:////absolute.db, or memory:// for a store that ends with the process."
            ]
        )
    return Path(name).absolute()


def _create_private(path: Path) -> None:
    # Only ever a new file: closing a descriptor of an open database would drop SQLite's locks.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except FileNotFoundError:
        problem = f"DATABASE_URL: the folder {path.parent} does not exist. Create it."
        raise SettingsError([problem]) from None
    except OSError as error:
        raise StorageUnavailable(f"SQLite: cannot create {path}: {error.strerror}") from error


def _padded(ids: Sequence[str]) -> tuple[str, ...]:
    # To the next power of two: SQLite then prepares a handful of statements, and each once.
    size = 1 << (len(ids) - 1).bit_length()
    return (*ids, *[ids[-1]] * (size - len(ids)))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _where(*conditions: str) -> str:
    tests = [name if "?" in name else f"{_quoted(name)} = ?" for name in conditions]
    return "WHERE " + " AND ".join(tests)
