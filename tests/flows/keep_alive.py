"""Clients that keep their connections, and take note of every request that is not answered.

They do what a proxy does: one request after the other on a connection, a new connection after an
answer with `Connection: close`. Anything but an answer is a failure: a refused connection, a reset,
an end of the stream before the answer.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class KeepAlive:
    """Clients of 127.0.0.1 that send the same request again and again, some of them slowly."""

    port: int
    request: bytes
    pauses: Sequence[float] = (0.0, 0.01, 0.1)
    answers: Counter[int] = field(default_factory=Counter)
    closed: int = 0
    failures: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["KeepAlive"]:
        """Send as long as the context lasts, on one connection for each pause."""
        over = asyncio.Event()
        tasks = [asyncio.ensure_future(self._client(pause, over)) for pause in self.pauses]
        try:
            yield self
        finally:
            over.set()
            await asyncio.gather(*tasks)

    async def _client(self, pause: float, over: asyncio.Event) -> None:
        while not over.is_set():
            try:
                await self._connection(pause, over)
            except (OSError, EOFError) as error:
                self.failures.append(repr(error))
                await asyncio.sleep(0.01)

    async def _connection(self, pause: float, over: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while not over.is_set():
                writer.write(self.request)
                async with asyncio.timeout(20):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    fields = _fields(head)
                    await reader.readexactly(int(fields.get("content-length", "0")))
                self.answers[int(head.split(" ")[1])] += 1
                if fields.get("connection", "").lower() == "close":
                    self.closed += 1
                    return
                await asyncio.sleep(pause)
        finally:
            writer.close()


def _fields(head: str) -> dict[str, str]:
    lines = [line.partition(":") for line in head.split("\r\n")[1:]]
    return {name.lower(): value.strip() for name, _, value in lines}
