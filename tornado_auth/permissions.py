"""What a user may do in a service, as the service's permission provider says.

Owns the map from services to the modules of ALLOWED_SERVICES, which is made at the start and never
changes, and what happens to an answer: time limit, check, a few seconds in a cache. Whatever goes
wrong, the answer is "nothing". Never imports by a name that a request brought, and never signs:
`tokens.py` does.
"""

import asyncio
import functools
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tornado_auth.caches import BoundedCache
from tornado_auth.errors import SettingsError
from tornado_auth.granted import granted_names
from tornado_auth.limited_calls import LimitedCalls, accepts, import_named
from tornado_auth.metrics import Metrics

logger = logging.getLogger(__name__)

MAX_ANSWER = 5 * 1024  # what fits into a token of 8 KiB, the most that verifiers read
MAX_CACHED = 10_000
UNKNOWN_SERVICE = "(unknown)"


class PermissionProvider(Protocol):
    """What a module in ALLOWED_SERVICES has to have."""

    def get_permissions(
        self, service: str, userid: str, /
    ) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        """Return what the user may do: a dict that JSON can carry; empty means nothing.

        May be `async def`, or plain, and then runs on a thread. `service` is the name by which
        the service was asked for: its alias if it has one.
        """


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    get_permissions: Callable[[str, str], object]
    calls: LimitedCalls


@dataclass(frozen=True, slots=True)
class _Answer:
    """`text` is the JSON of a good answer, None of a denial; `at` is when it was asked for."""

    result: str
    text: str | None
    at: int
    granted: frozenset[str] = frozenset()


class _Junk(ValueError):
    """An answer that is not permissions."""


class Permissions:
    """Ask permission providers; `cache_seconds` is how long an answer may be given again.

    Answers are cached per service and user, and those who ask for the same at the same time wait
    for one call. Denials are never cached.
    """

    def __init__(
        self,
        services: Sequence[_Service],
        *,
        cache_seconds: int,
        now: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._services = {service.name: service for service in services}
        self._cache_seconds = cache_seconds
        self._now = now
        self._metrics = metrics
        self._cache: BoundedCache[tuple[str, str], _Answer] = BoundedCache(MAX_CACHED)
        self._asking: dict[tuple[str, str], asyncio.Task[_Answer]] = {}
        self._tasks: set[asyncio.Task[_Answer]] = set()

    @classmethod
    def load(
        cls,
        entries: Sequence[tuple[str, str]],
        *,
        timeout: float,
        cache_seconds: int,
        now: Callable[[], int],
        metrics: Metrics,
    ) -> "Permissions":
        """Import and check the modules; an entry is (alias, module), `timeout` is in seconds.

        A service without an alias has the name of its module. Raises SettingsError with the
        problems of all entries.
        """
        services: list[_Service] = []
        problems: list[str] = []
        for alias, module in entries:
            name = alias or module
            if name in (service.name for service in services):
                problems.append(
                    f"ALLOWED_SERVICES: two modules are called {name!r}. Give one of them another "
                    "alias, as in alias:module."
                )
            try:
                services.append(_Service(name, _load_provider(module), LimitedCalls(timeout)))
            except ImportError as error:
                problems.append(f"ALLOWED_SERVICES: {module}: {error}")
        if problems:
            raise SettingsError(problems)
        return cls(services, cache_seconds=cache_seconds, now=now, metrics=metrics)

    async def ask(self, service: str, user_id: str) -> dict[str, Any] | None:
        """Return what the user may do in the service, or None: denied.

        None stands for a service that nobody allowed, and for a provider that raised, ran out of
        time or returned junk. The dict is the caller's to keep.
        """
        known = self._services.get(service)
        if known is None:
            self._metrics.permission_answers.labels(UNKNOWN_SERVICE, "unknown_service").inc()
            return None
        answer = self._cached(service, user_id) or await self._fresh(known, user_id)
        self._metrics.permission_answers.labels(service, answer.result).inc()
        return None if answer.text is None else json.loads(answer.text)

    def recall(self, service: str, user_id: str) -> frozenset[str] | None:
        """Return what is granted if it was answered just now; None stands for: ask."""
        answer = self._cached(service, user_id)
        if answer is None:
            return None
        self._metrics.permission_answers.labels(service, answer.result).inc()
        return answer.granted

    async def close(self) -> None:
        """Deny whoever still waits, and end the calls that can be ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(service.calls.close() for service in self._services.values()))

    def _cached(self, service: str, user_id: str) -> _Answer | None:
        answer = self._cache.get((service, user_id))
        if answer is None or not 0 <= self._now() - answer.at < self._cache_seconds:
            return None
        return replace(answer, result="cached")

    async def _fresh(self, service: _Service, user_id: str) -> _Answer:
        key = (service.name, user_id)
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._call(service, user_id))
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._called, key))
        # `wait` does not hand the cancellation of one caller on to the task that others await.
        await asyncio.wait({task})
        return _Answer("closed", None, 0) if task.cancelled() else task.result()

    def _called(self, key: tuple[str, str], task: asyncio.Task[_Answer]) -> None:
        self._tasks.discard(task)
        if self._asking.get(key) is not task:
            return  # `forget` came in between: those who wait get the answer, later ones do not
        del self._asking[key]
        if not task.cancelled() and (answer := task.result()).text is not None:
            self._cache.put(key, answer)

    async def _call(self, service: _Service, user_id: str) -> _Answer:
        at = self._now()
        try:
            answer = await service.calls.call(service.get_permissions, service.name, user_id)
            return _Answer("answered", _checked(answer), at, granted_names(answer))
        except Exception as error:
            reason = _reason(error)
            logger.error(
                "permission_provider_failed",
                exc_info=error,
                extra={
                    "service": service.name,
                    "reason": reason,
                    "exception": type(error).__name__,
                },
            )
            return _Answer(reason, None, at)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "junk" if isinstance(error, _Junk) else "error"


def _load_provider(name: str) -> Callable[[str, str], object]:
    """Return a module's `get_permissions`; raises ImportError, saying what is to be mended."""
    module = import_named(name)
    function: Callable[[str, str], object] | None = getattr(module, "get_permissions", None)
    if function is None:
        raise ImportError("it has no function get_permissions(service, userid).")
    if not accepts(function, "service", "userid"):
        raise ImportError(
            "get_permissions cannot be called with two arguments. Write it as "
            "get_permissions(service, userid)."
        )
    return function


def _checked(answer: object) -> str:
    """Return an answer as JSON; raises _Junk for what is not permissions."""
    if not isinstance(answer, dict):
        raise _Junk(f"get_permissions returned a {type(answer).__name__}, not a dict")
    try:
        text = json.dumps(answer, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise _Junk("get_permissions returned what JSON cannot carry") from error
    if len(text) > MAX_ANSWER:
        raise _Junk(f"get_permissions returned more than {MAX_ANSWER} bytes of JSON")
    if not _has_text_keys(answer):
        raise _Junk("get_permissions returned a dict with a key that is not a str")
    return text


def _has_text_keys(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_text_keys(item) for key, item in value.items())
    return not isinstance(value, list | tuple) or all(_has_text_keys(item) for item in value)
