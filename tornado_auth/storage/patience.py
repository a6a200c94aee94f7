"""What a backend does about a database that is slow or away: wait in line, try again, give up.

Owns the line in front of a database, the loop that tries a write again, and the step that goes on
when nobody waits for it any more. Knows no database: what an error means, the backend says.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from tornado_auth.errors import StorageUnavailable

T = TypeVar("T")
Attempt = Callable[[int], Awaitable[T]]

FIRST_PAUSE = 0.05  # seconds before the third attempt; the second comes at once
LONGEST_PAUSE = 0.5


class Turns:
    """Let `running` operations run at once and `waiting` more wait for their turn, in order.

    Whoever comes on top is turned away at once: a database that is away must not fill the memory.
    """

    def __init__(self, database: str, *, running: int, waiting: int) -> None:
        self._database = database
        self._running = asyncio.Semaphore(running)
        self._limit = running + waiting
        self._taken = 0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it; raises StorageUnavailable at once if too many wait."""
        with self.place():
            async with self._running:
                yield

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Be counted without waiting here, for what waits in order elsewhere; raises as above."""
        if self._taken >= self._limit:
            raise StorageUnavailable(f"{self._database}: {self._taken} operations wait already")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


@dataclass(frozen=True)
class Errors:
    """What the errors of one database mean; all of them are of the class `kind`.

    An error that `may_pass` leaves another attempt a chance, some time later; one that
    `broke_the_connection` at once, on another connection; and of a write that failed of one that
    `came_before` it, the database cannot have heard.
    """

    kind: type[Exception]
    may_pass: Callable[[Any], bool]
    broke_the_connection: Callable[[Any], bool]
    came_before: Callable[[Any], bool]


async def persist(attempt: Callable[[int], Awaitable[T]], errors: Errors, *, patience: float) -> T:
    """Await `attempt(0)`, and again for `patience` seconds while its error may pass.

    Without patience there is one more attempt, if the connection broke. The number is that of
    earlier attempts of which nobody knows whether they took effect.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + patience
    is_first, unknown, pause = True, 0, 0.0
    while True:
        try:
            return await attempt(unknown)
        except errors.kind as error:
            in_time = loop.time() + pause < give_up_at
            again = errors.may_pass if in_time else errors.broke_the_connection
            if not (again(error) and (in_time or is_first)):
                raise
            unknown += not errors.came_before(error)
        await asyncio.sleep(pause)
        is_first, pause = False, min(pause * 2 + FIRST_PAUSE, LONGEST_PAUSE)


class Steps:
    """Await one step after another of what a thread works on; `limit` bounds each, in seconds.

    The thread goes on when its caller is cancelled: nothing else may be touched until it is done.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._last: asyncio.Future[Any] | None = None

    async def finish(self, step: Awaitable[T]) -> T:
        """Return what the step returns; raises TimeoutError if that takes too long."""
        self._last = running = asyncio.ensure_future(step)
        running.add_done_callback(_heed)
        async with asyncio.timeout(self._limit):
            return await asyncio.shield(running)

    async def settle(self) -> None:
        """Wait until the last step is over, however it ends."""
        if self._last is not None:
            await asyncio.wait({self._last}, timeout=self._limit)


def _heed(step: asyncio.Future[Any]) -> None:
    if not step.cancelled():
        step.exception()  # or asyncio reports what nobody waits for any more
