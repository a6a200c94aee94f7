"""A backend in this process's memory (`memory://`): for tests and for a first look.

Owns nothing that outlives the process. No method awaits, so each one is atomic on its loop.
"""

import dataclasses
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tornado_auth.errors import AlreadyExists, Stale
from tornado_auth.models import Record
from tornado_auth.storage.codec import from_document, to_document

if TYPE_CHECKING:
    from tornado_auth.storage import Inserted

R = TypeVar("R", bound=Record)

Documents = dict[str, dict[str, Any]]


class MemoryCollection(Generic[R]):
    """A `Collection` over one dictionary of documents, by id."""

    def __init__(self, record_type: type[R], documents: Documents) -> None:
        self._type = record_type
        self._documents = documents

    async def insert(self, record: R) -> None:
        """See `Collection.insert`."""
        if record.id in self._documents:
            raise AlreadyExists("id")
        self._check_unique(record)
        self._documents[record.id] = to_document(record)

    async def get(self, id: str) -> R | None:
        """See `Collection.get`."""
        document = self._documents.get(id)
        return None if document is None else from_document(self._type, document)

    async def get_many(self, ids: Sequence[str]) -> dict[str, R]:
        """See `Collection.get_many`."""
        found = {id: self._documents[id] for id in ids if id in self._documents}
        return {id: from_document(self._type, document) for id, document in found.items()}

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """See `Collection.find`."""
        ids = sorted(id for id in self._matching(equal) if id > after)
        return [from_document(self._type, self._documents[id]) for id in ids[:limit]]

    async def search(
        self, field: str, prefix: str, *, after: str = "", limit: int = 100
    ) -> list[R]:
        """See `Collection.search`."""
        found = sorted(
            (document[field], id)
            for id, document in self._documents.items()
            if document[field].startswith(prefix) and document[field] > after
        )
        return [from_document(self._type, self._documents[id]) for _, id in found[:limit]]

    async def replace(self, record: R) -> R:
        """See `Collection.replace`."""
        stored = self._documents.get(record.id)
        if stored is None or stored["version"] != record.version:
            raise Stale(f"{self._type.KIND}: changed since it was read")
        self._check_unique(record)
        replaced = dataclasses.replace(record, version=record.version + 1)
        stored.update(to_document(replaced))
        return replaced

    async def delete(self, id: str) -> bool:
        """See `Collection.delete`."""
        return self._documents.pop(id, None) is not None

    async def delete_where(self, **equal: str) -> int:
        """See `Collection.delete_where`."""
        return self._remove(self._matching(equal))

    async def purge(self, now: int) -> int:
        """See `Collection.purge`."""
        expiries = {id: document["expires_at"] for id, document in self._documents.items()}
        return self._remove([id for id, end in expiries.items() if end is not None and end <= now])

    def follow(self, position: str = "") -> "AsyncGenerator[Inserted[R], None] | None":
        """Return None: who wants to know asks again."""
        return None

    def _matching(self, equal: dict[str, str]) -> list[str]:
        return [
            id
            for id, document in self._documents.items()
            if all(document.get(name) == value for name, value in equal.items())
        ]

    def _remove(self, ids: list[str]) -> int:
        for id in ids:
            del self._documents[id]
        return len(ids)

    def _check_unique(self, record: R) -> None:
        for name in self._type.UNIQUE:
            if set(self._matching({name: getattr(record, name)})) - {record.id}:
                raise AlreadyExists(name)


class MemoryBackend:
    """A `Backend` whose records are gone when the process ends."""

    def __init__(self) -> None:
        self._documents: dict[str, Documents] = {}

    def collection(self, record_type: type[R]) -> MemoryCollection[R]:
        """See `Backend.collection`."""
        return MemoryCollection(record_type, self._documents.setdefault(record_type.KIND, {}))

    async def open(self, record_types: Sequence[type[Record]]) -> None:
        """See `Backend.open`."""

    async def ping(self) -> None:
        """See `Backend.ping`."""

    async def close(self) -> None:
        """See `Backend.close`."""
