"""A store whose answers a test withholds, delays or counts: the far side's bad days."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from tornado_auth.errors import StorageUnavailable
from tornado_auth.storage import Inserted


class Unreliable:
    """A collection around a real one.

    `failing` makes every operation raise StorageUnavailable; `answering` holds answers of
    `get_many` back while it is cleared, when what is read is read already; `batches` are the ids
    of each call, `most_at_once` is how many calls ran at the same time.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.failing = False
        self.batches: list[list[str]] = []
        self.most_at_once = self._running = 0
        self.answering = asyncio.Event()
        self.answering.set()

    def spoil(self, id: str, **members: object) -> None:
        """Change what the memory store holds as somebody may by hand."""
        self.inner._inner._documents[id].update(members)

    @property
    def reads(self) -> int:
        return len(self.batches)

    async def get_many(self, ids: list[str]) -> Any:
        if not ids:
            return {}
        self.batches.append(list(ids))
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            records = await self.inner.get_many(ids)
            await self.answering.wait()
            self._fail_if_told()
            return records
        finally:
            self._running -= 1

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self.inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._fail_if_told()
            return await operation(*args, **kwargs)

        return call

    def _fail_if_told(self) -> None:
        if self.failing:
            raise StorageUnavailable("the store is told not to answer")


class WithFeed(Unreliable):
    """A collection whose changes a test reports, or an error; `positions` are those asked for."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.positions: list[str] = []
        self._reports: asyncio.Queue[tuple[Any, ...] | Exception] = asyncio.Queue()

    def follow(self, position: str = "") -> AsyncGenerator[Inserted[Any], None]:
        self.positions.append(position)
        return self._follow()

    async def report(self, *records: Any) -> None:
        """Report records, and wait until that has been taken note of."""
        await self._put(records)

    async def fail(self, error: Exception) -> None:
        """End the feed with an error."""
        await self._put(error)

    async def _put(self, report: tuple[Any, ...] | Exception) -> None:
        await self._reports.put(report)
        await self._reports.join()

    async def _follow(self) -> AsyncGenerator[Inserted[Any], None]:
        number = 0
        while True:
            report = await self._reports.get()
            try:
                if isinstance(report, Exception):
                    raise report
                number += 1
                yield Inserted(report, f"{len(self.positions)}.{number}")
            finally:
                self._reports.task_done()
