"""A store of one's own: a journal in a file, for one process and without a database.

    tornado-auth keys generate
    export PRIVATE_KEY_FILE=private.pem TORNADO_AUTH_SECRET_FILE=secret JOURNAL=journal.jsonl
    python examples/own_storage.py add ann      # asks for her password
    python examples/own_storage.py              # http://localhost:8080

Each line of the file says what one record is from then on, or that it is gone. Memory has only what
the file has, and the file is written anew at each start. A store is right when it passes
`tornado_auth.storage.contract.StorageContract`, as this one does in tests/test_own_storage.py.
"""

import asyncio
import dataclasses
import fcntl
import getpass
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TextIO, TypeVar

from tornado_auth.app import make_app, run
from tornado_auth.errors import AlreadyExists, Stale, StorageUnavailable
from tornado_auth.models import Record
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings
from tornado_auth.storage.codec import from_document, to_document

R = TypeVar("R", bound=Record)

Document = dict[str, Any]
Changes = dict[str, Document | None]  # by id; None for what is gone


class JournalCollection(Generic[R]):
    """All records of one type. See `tornado_auth.storage.Collection` for what each method is."""

    def __init__(self, backend: "JournalBackend", record_type: type[R]) -> None:
        self._backend = backend
        self._type = record_type

    @property
    def _documents(self) -> dict[str, Document]:
        return self._backend.documents(self._type.KIND)

    async def insert(self, record: R) -> None:
        """Add a record."""

        def change() -> Changes:
            if record.id in self._documents:
                raise AlreadyExists("id")
            self._check_unique(record)
            return {record.id: to_document(record)}

        await self._commit(change)

    async def replace(self, record: R) -> R:
        """Compare and swap: the one operation that every race rests on."""
        replaced = dataclasses.replace(record, version=record.version + 1)

        def change() -> Changes:
            stored = self._documents.get(record.id)
            if stored is None or stored["version"] != record.version:
                raise Stale(f"{self._type.KIND}: changed since it was read")
            self._check_unique(record)
            # A newer program may have written members that this one does not know: they stay.
            return {record.id: {**stored, **to_document(replaced)}}

        await self._commit(change)
        return replaced

    async def delete(self, id: str) -> bool:
        """Remove a record; true for one caller alone."""
        return await self._remove(lambda: [id] if id in self._documents else []) == 1

    async def delete_where(self, **equal: str) -> int:
        """Remove all records with these values."""
        return await self._remove(lambda: self._ids(equal))

    async def purge(self, now: int) -> int:
        """Remove what has expired."""

        def expired() -> list[str]:
            ends = {id: document["expires_at"] for id, document in self._documents.items()}
            return [id for id, end in ends.items() if end is not None and end <= now]

        return await self._remove(expired)

    async def get(self, id: str) -> R | None:
        """Return one record."""
        return self._record(id) if id in self._documents else None

    async def get_many(self, ids: Sequence[str]) -> dict[str, R]:
        """Return those that exist."""
        return {id: self._record(id) for id in ids if id in self._documents}

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """Return records in order of their ids."""
        return [self._record(id) for id in sorted(self._ids(equal)) if id > after][:limit]

    async def search(
        self, field: str, prefix: str, *, after: str = "", limit: int = 100
    ) -> list[R]:
        """Return records in order of a unique field that begins so."""
        values = {document[field]: id for id, document in self._documents.items()}
        found = sorted(one for one in values if one.startswith(prefix) and one > after)
        return [self._record(values[one]) for one in found[:limit]]

    def follow(self, position: str = "") -> None:
        """Tell nobody of what is inserted: the service then asks again and again."""

    def _record(self, id: str) -> R:
        return from_document(self._type, self._documents[id])

    def _ids(self, equal: dict[str, str]) -> list[str]:
        """Return the ids of what has these values; a real store has an index for each."""
        return [
            id
            for id, document in self._documents.items()
            if all(document.get(name) == value for name, value in equal.items())
        ]

    def _check_unique(self, record: R) -> None:
        for name in self._type.UNIQUE:
            if set(self._ids({name: getattr(record, name)})) - {record.id}:
                raise AlreadyExists(name)

    async def _remove(self, ids: Callable[[], list[str]]) -> int:
        return await self._commit(lambda: dict.fromkeys(ids()))

    async def _commit(self, change: Callable[[], Changes]) -> int:
        # Shielded: a caller who stops waiting must not leave half a change behind.
        return await asyncio.shield(self._backend.commit(self._type.KIND, change))


class JournalBackend:
    """A `tornado_auth.storage.Backend` in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kinds: dict[str, dict[str, Document]] = {}
        self._file: TextIO | None = None
        self._lock: TextIO | None = None
        self._turn = asyncio.Lock()

    def collection(self, record_type: type[R]) -> JournalCollection[R]:
        """Return the collection of a record type."""
        return JournalCollection(self, record_type)

    async def open(self, record_types: Sequence[type[Record]]) -> None:
        """Read the file, and write it anew without what is gone; idempotent."""
        async with self._turn:
            if self._file is None:
                self._kinds, self._file = await asyncio.to_thread(self._read)

    async def ping(self) -> None:
        """Return if the file is open."""
        if self._file is None:
            raise StorageUnavailable("the journal is not open")

    async def close(self) -> None:
        """Let go of the file, after what is being written."""
        async with self._turn:
            self._close()

    def _close(self) -> None:
        for file in (self._file, self._lock):
            if file is not None:
                file.close()
        self._file = self._lock = None

    def documents(self, kind: str) -> dict[str, Document]:
        """Return what there is of one kind, by id."""
        return self._kinds.setdefault(kind, {})

    async def commit(self, kind: str, change: Callable[[], Changes]) -> int:
        """Make one change, in the file first, and return of how many records."""
        async with self._turn:
            await self.ping()
            changes = change()
            try:
                await asyncio.to_thread(self._append, _lines(kind, changes))
            except OSError as error:
                self._close()  # what is behind half a line could not be read again
                raise StorageUnavailable(f"the journal cannot be written: {error}") from error
            _apply(self.documents(kind), changes)
            return len(changes)

    def _append(self, lines: str) -> None:
        if self._file is not None:
            self._file.write(lines)
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self) -> tuple[dict[str, dict[str, Document]], TextIO]:
        self._lock = self._path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StorageUnavailable("another process has the journal open") from None
        kinds: dict[str, dict[str, Document]] = {}
        text = self._path.read_text("utf-8") if self._path.exists() else ""
        # What comes after the last line break was being written when the power went.
        for line in text.split("\n")[:-1]:
            kind, changes = json.loads(line)
            _apply(kinds.setdefault(kind, {}), changes)
        new = self._path.with_suffix(".new")
        file = os.fdopen(os.open(new, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600), "w")
        file.write("".join(_lines(kind, {**documents}) for kind, documents in kinds.items()))
        file.flush()
        os.fsync(file.fileno())
        new.replace(self._path)
        return kinds, file


def _lines(kind: str, changes: Changes) -> str:
    return json.dumps([kind, changes]) + "\n" if changes else ""


def _apply(documents: dict[str, Document], changes: Changes) -> None:
    for id, document in changes.items():
        if document is None:
            documents.pop(id, None)
        else:
            documents[id] = document


async def add_user(server: AuthServer, username: str, password: str) -> None:
    """Make a local account: the command `tornado-auth` knows our own stores only."""
    await server.start()
    try:
        user = await server.accounts.create(username)
        await server.local_accounts.set_password(user.id, password)
    finally:
        await server.stop()


if __name__ == "__main__":
    backend = JournalBackend(Path(os.environ["JOURNAL"]))
    server = AuthServer(load_settings(os.environ), backend=backend)
    if sys.argv[1:2] == ["add"]:
        asyncio.run(add_user(server, sys.argv[2], getpass.getpass()))
    else:
        asyncio.run(run(make_app(server), server))
