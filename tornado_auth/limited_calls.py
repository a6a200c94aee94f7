"""Code that the operator brings: how it is imported, called, and kept from doing harm.

Owns the rules for extensions and permission providers alike: a time limit, and no blocking of the
loop. Never imports by a name that a request brought.
"""

import asyncio
import contextvars
import functools
import importlib
import inspect
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType

from tornado.gen import is_coroutine_function as is_tornado_coroutine_function

MAX_CALLS = 16
CLOSING_TIME = 1.0


class LimitedCalls:
    """Call functions of somebody else's, for at most `timeout` seconds each, off the loop.

    Coroutine functions run on the loop; plain ones on threads, `limit` at a time, while the others
    wait within their time. Threads are daemons and not those of asyncio's executor: one that never
    comes back costs nobody else's work, nor the end of the process.
    """

    def __init__(self, timeout: float, limit: int = MAX_CALLS) -> None:
        self._timeout = timeout
        self._limit = limit
        self._overdue: set[asyncio.Future[object]] = set()

    @functools.cached_property
    def _threads(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(self._limit)

    async def call(self, function: Callable[..., object], *arguments: object) -> object:
        """Return what the function returns, awaited if need be; raises what it raises.

        Raises TimeoutError when time is up, and at once while `limit` earlier calls are overdue.
        """
        if len(self._overdue) >= self._limit:
            raise TimeoutError(f"{self._limit} earlier calls have not come back")
        async with asyncio.timeout(self._timeout):
            if inspect.iscoroutinefunction(function) or is_tornado_coroutine_function(function):
                return await self._result(asyncio.create_task(_on_loop(function, *arguments)))
            answer = await self._result(await self._start_thread(function, *arguments))
            if inspect.isawaitable(answer):
                return await self._result(asyncio.create_task(_on_loop(lambda: answer)))
            return answer

    async def close(self) -> None:
        """Give coroutines that were cancelled a second to come to their end."""
        tasks = [running for running in self._overdue if isinstance(running, asyncio.Task)]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_TIME)

    async def _result(self, running: asyncio.Future[object]) -> object:
        """Wait for a call, but not for its cancellation, which it may ignore."""
        running.add_done_callback(self._came_back)
        try:
            await asyncio.wait({running})
        finally:
            if not running.done():
                self._overdue.add(running)
                if isinstance(running, asyncio.Task):
                    running.cancel()
        if running.cancelled():
            raise RuntimeError("the call was cancelled from inside")
        return running.result()

    def _came_back(self, running: asyncio.Future[object]) -> None:
        self._overdue.discard(running)
        if not running.cancelled():
            running.exception()  # or asyncio complains that nobody looked at it

    async def _start_thread(
        self, function: Callable[..., object], *arguments: object
    ) -> asyncio.Future[object]:
        await self._threads.acquire()
        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        finished: asyncio.Future[object] = loop.create_future()

        def finish(answer: object, error: Exception | None) -> None:
            self._threads.release()
            if error is None:
                finished.set_result(answer)
            else:
                finished.set_exception(error)

        def work() -> None:
            answer, error = None, None
            try:
                answer = context.run(function, *arguments)
            except BaseException as raised:
                error = _as_exception(raised)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(finish, answer, error)

        try:
            threading.Thread(target=work, name="tornado-auth-call", daemon=True).start()
        except RuntimeError:
            self._threads.release()
            raise
        return finished


async def _on_loop(function: Callable[..., object], *arguments: object) -> object:
    try:
        answer = function(*arguments)
        return await answer if inspect.isawaitable(answer) else answer
    except SystemExit as error:
        raise _as_exception(error) from error


def _as_exception(error: BaseException) -> Exception:
    """Wrap what would end the process (`sys.exit()`) or what no future takes (StopIteration)."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError(f"it raised {type(error).__name__}")
    wrapped.__cause__ = error
    return wrapped


def import_named(name: str) -> ModuleType:
    """Import a module that the settings name; raises ImportError, saying what is to be mended."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise ImportError(
                f"there is no module {error.name!r}. Install it, put the folder that holds it "
                "on PYTHONPATH, or correct the name."
            ) from error
        raise ImportError(
            f"it fails at import with {type(error).__name__}: {error}{_place(error)}."
        ) from error


def _place(error: BaseException) -> str:
    machinery = ("<frozen", str(importlib.__file__), __file__)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(machinery)
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def accepts(function: object, *arguments: object) -> bool:
    """Tell whether something can be called with these arguments, without calling it."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature
        return True
    return True
