"""Code that the operator brings: how it is imported, called, and kept from doing harm.

Owns the hooks (`on_new_user`, `on_user_login`, `on_user_logout`), the base class `Extension`, and
the rules for calling any such code: a time limit, and no blocking of the loop (`LimitedCalls`,
which `permissions.py` uses too). Never lets a hook change anything that the service holds, and
never imports by a name that a request brought.
"""

import asyncio
import contextvars
import functools
import importlib
import inspect
import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import ClassVar, Literal, get_args

from tornado.gen import is_coroutine_function as is_tornado_coroutine_function

from tornado_auth.errors import LoginBlocked, SettingsError

logger = logging.getLogger(__name__)

UserInfo = Mapping[str, object]
Hook = Literal["on_new_user", "on_user_login", "on_user_logout"]
HOOKS: tuple[Hook, ...] = get_args(Hook)

MAX_CALLS = 16
CLOSING_TIME = 1.0


class Extension:
    """Base class for extensions with state; override the hooks that you need.

    A module in INSTALLED_EXTENSIONS offers one as `extension = MyExtension()`. If `blocking` is
    true, a sign-in ends with an error page when a hook of this extension fails.
    """

    blocking: ClassVar[bool] = False

    async def on_new_user(self, user_info: UserInfo) -> None:
        """Called at somebody's first sign-in, before `on_user_login`."""

    async def on_user_login(self, user_info: UserInfo) -> None:
        """Called at every sign-in, before the session starts."""

    async def on_user_logout(self, user_info: UserInfo) -> None:
        """Called after a session was ended by its user."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Installed:
    name: str
    blocking: bool
    hooks: Mapping[str, Callable[[UserInfo], object]]
    calls: LimitedCalls


class Extensions:
    """The extensions of INSTALLED_EXTENSIONS, in the order listed."""

    def __init__(
        self, installed: Sequence[_Installed], on_failure: Callable[[str, str], None]
    ) -> None:
        self._installed = installed
        self._on_failure = on_failure

    @classmethod
    def load(
        cls,
        modules: Sequence[str],
        *,
        timeout: float,
        on_failure: Callable[[str, str], None],
    ) -> "Extensions":
        """Import and check the modules; `timeout` is in seconds for each call of a hook.

        `on_failure` is called with the names of extension and hook whenever a hook fails. Raises
        SettingsError with the problems of all modules.
        """
        installed: list[_Installed] = []
        problems: list[str] = []
        for name in modules:
            if name in (other.name for other in installed):
                problems.append(_problem(name, "it is listed twice. Remove one of them."))
                continue
            try:
                installed.append(_install(name, timeout))
            except SettingsError as error:
                problems += error.problems
        if problems:
            raise SettingsError(problems)
        return cls(installed, on_failure)

    async def fire(self, hook: Hook, user_info: UserInfo) -> None:
        """Call a hook of every extension, one after the other, each with a copy of its own.

        Failures are logged and counted. Raises LoginBlocked if a blocking extension fails at a
        sign-in; the extensions after it are not called then.
        """
        for extension in self._installed:
            function = extension.hooks.get(hook)
            if function is None:
                continue
            try:
                await extension.calls.call(function, _frozen(user_info))
            except Exception as error:
                self._failed(extension, hook, error)
                if extension.blocking and hook != "on_user_logout":
                    raise LoginBlocked(
                        "A check that the operator of this service installed did not let the "
                        "sign-in pass."
                    ) from error

    async def close(self) -> None:
        """Let hooks that are overdue come to their end."""
        await asyncio.gather(*(extension.calls.close() for extension in self._installed))

    def _failed(self, extension: _Installed, hook: Hook, error: Exception) -> None:
        logger.error(
            "extension_failed",
            exc_info=error,
            extra={
                "extension": extension.name,
                "hook": hook,
                "reason": "timeout" if isinstance(error, TimeoutError) else "error",
                "exception": type(error).__name__,
                "blocking": extension.blocking,
            },
        )
        self._on_failure(extension.name, hook)


def _problem(module: str, text: str) -> str:
    return f"INSTALLED_EXTENSIONS: {module}: {text}"


def _install(name: str, timeout: float) -> _Installed:
    try:
        module = import_named(name)
    except ImportError as error:
        raise SettingsError([_problem(name, str(error))]) from error
    owner = getattr(module, "extension", None)
    problems = []
    if isinstance(owner, type) and issubclass(owner, Extension):
        problems.append(f"`extension` is a class. Write `extension = {owner.__name__}()`.")
    hooks, blocking = _hooks(module), getattr(module, "blocking", False)
    if isinstance(owner, Extension):
        if hooks:
            problems.append(f"it has both `extension` and {', '.join(hooks)}. Keep one of them.")
        hooks, blocking = _overridden_hooks(owner), owner.blocking
    problems += [
        f"{hook} cannot be called with one argument, the user's data."
        for hook, function in hooks.items()
        if not accepts(function, {})
    ]
    if not isinstance(blocking, bool):
        problems.append("`blocking` is neither True nor False.")
    if not hooks and not problems:
        problems.append(f"it has none of {', '.join(HOOKS)}, and no `extension` that has one.")
    if problems:
        raise SettingsError([_problem(name, problem) for problem in problems])
    return _Installed(name=name, blocking=blocking, hooks=hooks, calls=LimitedCalls(timeout))


def _hooks(module: ModuleType) -> dict[str, Callable[[UserInfo], object]]:
    return {hook: getattr(module, hook) for hook in HOOKS if hasattr(module, hook)}


def _overridden_hooks(extension: Extension) -> dict[str, Callable[[UserInfo], object]]:
    return {
        hook: getattr(extension, hook)
        for hook in HOOKS
        if getattr(type(extension), hook) is not getattr(Extension, hook)
    }


def _frozen(value: object) -> object:
    """Copy mappings and lists, all the way down, into ones that cannot be changed."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, set | frozenset):
        return frozenset(value)
    return value
