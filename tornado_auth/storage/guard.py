"""The check in front of every backend: types in, nothing expired out.

Owns the rule that no operator, list or number reaches a query where a text is due, so that no
backend has to know about injection. Never talks to a database.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from tornado_auth.errors import InvalidValue
from tornado_auth.models import Record
from tornado_auth.storage.codec import (
    check_record,
    check_str,
    check_strs,
    check_value,
    indexed_fields,
)

if TYPE_CHECKING:
    from tornado_auth.storage import Collection, Inserted

R = TypeVar("R", bound=Record)


class GuardedCollection(Generic[R]):
    """A `Collection` that refuses wrong types (InvalidValue) and never returns expired records."""

    def __init__(
        self, inner: "Collection[R]", record_type: type[R], now: Callable[[], int]
    ) -> None:
        self._inner = inner
        self._type = record_type
        self._now = now
        self._indexed = indexed_fields(record_type)

    def _check_equal(self, equal: dict[str, str]) -> None:
        for name, value in equal.items():
            if name not in self._indexed:
                raise InvalidValue(f"{self._type.__name__}.{name} has no index")
            check_str(value)

    def _check(self, record: R) -> None:
        if type(record) is not self._type:
            raise InvalidValue(f"a {type(record).__name__} among {self._type.KIND}")
        check_record(record)

    def _live(self, record: R) -> bool:
        return _is_live(record, self._now())

    async def insert(self, record: R) -> None:
        """See `Collection.insert`."""
        self._check(record)
        await self._inner.insert(record)

    async def get(self, id: str) -> R | None:
        """See `Collection.get`."""
        check_str(id)
        record = await self._inner.get(id)
        return record if record is not None and self._live(record) else None

    async def get_many(self, ids: Sequence[str]) -> dict[str, R]:
        """See `Collection.get_many`."""
        if isinstance(ids, str):
            raise InvalidValue("a str where a list of them is due")
        check_strs(ids)
        if not ids:
            return {}
        found = await self._inner.get_many(list(dict.fromkeys(ids)))
        now = self._now()
        return {id: record for id, record in found.items() if _is_live(record, now)}

    async def find(self, *, after: str = "", limit: int = 100, **equal: str) -> list[R]:
        """See `Collection.find`."""
        check_str(after)
        check_value(limit, int)
        if limit < 1:
            raise InvalidValue("limit must be at least 1")
        self._check_equal(equal)
        live: list[R] = []
        while True:
            found = await self._inner.find(after=after, limit=limit, **equal)
            live += filter(self._live, found)
            if len(found) < limit or len(live) >= limit:
                return live[:limit]
            after = found[-1].id  # expired ones must not make a page look like the last

    async def search(
        self, field: str, prefix: str, *, after: str = "", limit: int = 100
    ) -> list[R]:
        """See `Collection.search`; expired records may make a page shorter, never the last."""
        if field not in self._type.UNIQUE:
            raise InvalidValue(f"{self._type.__name__}.{field} is not unique")
        check_str(prefix)
        check_str(after)
        check_value(limit, int)
        live: list[R] = []
        while True:
            found = await self._inner.search(field, prefix, after=after, limit=limit)
            live += filter(self._live, found)
            if len(found) < limit or len(live) >= limit:
                return live[:limit]
            after = getattr(found[-1], field)

    async def replace(self, record: R) -> R:
        """See `Collection.replace`."""
        self._check(record)
        return await self._inner.replace(record)

    async def delete(self, id: str) -> bool:
        """See `Collection.delete`."""
        check_str(id)
        return await self._inner.delete(id)

    async def delete_where(self, **equal: str) -> int:
        """See `Collection.delete_where`."""
        if not equal:
            raise InvalidValue("delete_where needs a condition")
        self._check_equal(equal)
        return await self._inner.delete_where(**equal)

    async def purge(self, now: int) -> int:
        """See `Collection.purge`."""
        check_value(now, int)
        return await self._inner.purge(now)

    def follow(self, position: str = "") -> "AsyncGenerator[Inserted[R], None] | None":
        """See `Collection.follow`; what was inserted is passed on even if it has expired since."""
        check_str(position)
        return self._inner.follow(position)


def _is_live(record: Record, now: int) -> bool:
    return record.expires_at is None or record.expires_at > now
