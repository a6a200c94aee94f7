"""A store whose answers a test withholds, delays or counts: the far side's bad days."""

import asyncio
from typing import Any

from tornado_auth.errors import StorageUnavailable


class Unreliable:
    """A collection around a real one.

    `failing` makes every operation raise StorageUnavailable; `answering` holds answers of `get`
    back while it is cleared, when what is read is read already; `reads` counts calls of `get`.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.failing = False
        self.reads = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def get(self, id: str) -> Any:
        self.reads += 1
        record = await self._inner.get(id)
        await self.answering.wait()
        self._fail_if_told()
        return record

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._fail_if_told()
            return await operation(*args, **kwargs)

        return call

    def _fail_if_told(self) -> None:
        if self.failing:
            raise StorageUnavailable("the store is told not to answer")
