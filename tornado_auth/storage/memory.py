"""A backend in this process's memory (`memory://`): for tests and for a first look.

Owns nothing that outlives the process. No method awaits, so each one is atomic on its loop.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from tornado_auth.errors import AlreadyExists, Stale
from tornado_auth.models import Record

R = TypeVar("R", bound=Record)


class MemoryCollection(Generic[R]):
    """A `Collection` over one dictionary."""

    def __init__(self, record_type: type[R]) -> None:
        self._type = record_type
        self._records: dict[str, R] = {}

    async def insert(self, record: R) -> None:
        """See `Collection.insert`."""
        if record.id in self._records:
            raise AlreadyExists("id")
        self._check_unique(record)
        self._records[record.id] = record

    async def get(self, id: str) -> R | None:
        """See `Collection.get`."""
        return self._records.get(id)

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """See `Collection.find`."""
        ids = sorted(record.id for record in self._matching(equal) if record.id > after)
        return [self._records[id] for id in ids[:limit]]

    async def replace(self, record: R) -> R:
        """See `Collection.replace`."""
        stored = self._records.get(record.id)
        if stored is None or stored.version != record.version:
            raise Stale(record.id)
        self._check_unique(record)
        self._records[record.id] = dataclasses.replace(record, version=record.version + 1)
        return self._records[record.id]

    async def delete(self, id: str) -> bool:
        """See `Collection.delete`."""
        return self._records.pop(id, None) is not None

    async def delete_where(self, **equal: str) -> int:
        """See `Collection.delete_where`."""
        return self._remove(self._matching(equal))

    async def purge(self, now: int) -> int:
        """See `Collection.purge`."""
        return self._remove(
            [r for r in self._records.values() if r.expires_at is not None and r.expires_at <= now]
        )

    def _matching(self, equal: dict[str, str]) -> list[R]:
        return [
            record
            for record in self._records.values()
            if all(getattr(record, name) == value for name, value in equal.items())
        ]

    def _remove(self, records: list[R]) -> int:
        for record in records:
            del self._records[record.id]
        return len(records)

    def _check_unique(self, record: R) -> None:
        for name in self._type.UNIQUE:
            for other in self._matching({name: getattr(record, name)}):
                if other.id != record.id:
                    raise AlreadyExists(name)


class MemoryBackend:
    """A `Backend` whose records are gone when the process ends."""

    def __init__(self) -> None:
        self._collections: dict[type[Record], MemoryCollection[Any]] = {}

    def collection(self, record_type: type[R]) -> MemoryCollection[R]:
        """See `Backend.collection`."""
        return self._collections.setdefault(record_type, MemoryCollection(record_type))

    async def open(self, record_types: Sequence[type[Record]]) -> None:
        """See `Backend.open`."""

    async def ping(self) -> None:
        """See `Backend.ping`."""

    async def close(self) -> None:
        """See `Backend.close`."""
