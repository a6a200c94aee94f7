"""Extensions: the operator's code that hears of sign-ins.

Owns the hooks (`on_new_user`, `on_user_login`, `on_user_logout`) and the base class `Extension`.
Never lets a hook change anything that the service holds.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import ClassVar, Literal, get_args

from tornado_auth.errors import LoginBlocked, SettingsError
from tornado_auth.limited_calls import LimitedCalls, accepts, import_named

logger = logging.getLogger(__name__)

UserInfo = Mapping[str, object]
Hook = Literal["on_new_user", "on_user_login", "on_user_logout"]
HOOKS: tuple[Hook, ...] = get_args(Hook)


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
