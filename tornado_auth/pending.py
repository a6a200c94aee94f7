"""A value that comes later, for the one who waits for it.

Owns how that one is told. Never waits for anything itself.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

from tornado_auth.scheduling import report_fault

T = TypeVar("T")


class Pending(Generic[T]):
    """What `asyncio.Future` is, for one waiter, and at a third of the price.

    Calls back at once, not in a turn of the loop of its own, and without a context. Whoever waits
    cannot cancel it.
    """

    __slots__ = ("_callback", "_error", "_is_done", "_value")

    def __init__(self) -> None:
        self._is_done = False
        self._value: T | None = None
        self._error: Exception | None = None
        self._callback: Callable[[Pending[T]], object] | None = None

    def done(self) -> bool:
        """Tell whether the value is there, or what went wrong instead."""
        return self._is_done

    def result(self) -> T:
        """Return the value once it is there, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        return cast(T, self._value)

    def set_result(self, value: T) -> None:
        """Tell the value."""
        self._value = value
        self._tell()

    def set_exception(self, error: Exception) -> None:
        """Tell what went wrong."""
        self._error = error
        self._tell()

    def add_done_callback(self, callback: "Callable[[Pending[T]], object]") -> None:
        """Call back when it is done, which it is not yet; there is one who waits."""
        if self._is_done or self._callback is not None:
            raise RuntimeError("done already, or somebody waits already")
        self._callback = callback

    def __await__(self) -> Generator[Any, None, T]:
        if not self._is_done:
            awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.add_done_callback(lambda _: None if awaited.done() else awaited.set_result(None))
            yield from awaited
        return self.result()

    def _tell(self) -> None:
        self._is_done = True
        callback, self._callback = self._callback, None  # it may know us: no work for the collector
        if callback is None:
            return
        try:
            callback(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # as asyncio has it, too: others wait for the caller
            report_fault(callback, error)
