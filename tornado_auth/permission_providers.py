"""The permission providers behind the services of ALLOWED_SERVICES.

Owns how they are found at the start, how one is asked so that it can do no harm, and how the
answers of several are combined. Whatever goes wrong is part of the answer: nothing is raised, and
nothing of it but the kind is told. Never imports by a name that a request brought.
"""

import asyncio
import inspect
import itertools
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tornado_auth.errors import SettingsError
from tornado_auth.granted import granted_names
from tornado_auth.limited_calls import LimitedCalls, accepts, import_named
from tornado_auth.role_names import NAME

logger = logging.getLogger(__name__)

BUILT_IN = "tornado_auth.roles"
MAX_ANSWER = 5 * 1024  # what fits into a token of 8 KiB, the most that verifiers read

Ask = Callable[..., object]


class PermissionProvider(Protocol):
    """What a module in ALLOWED_SERVICES has to have."""

    def get_permissions(
        self, service: str, userid: str, /
    ) -> dict[str, Any] | Awaitable[dict[str, Any]]:
        """Return what the user may do: a dict that JSON can carry; empty means nothing.

        May be `async def`, or plain, and then runs on a thread. `service` is the name by which
        the service was asked for: its alias if it has one. A third parameter, if it is called
        `resource` and has a default, gets the resource that was asked about, or "".
        """


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What one provider said; `permissions` are None if it failed, `error` says of what kind.

    `result` is "answered", "timeout", "error" or "junk".
    """

    name: str
    result: str
    permissions: dict[str, Any] | None
    milliseconds: float
    error: str = ""

    @property
    def said(self) -> dict[str, Any]:
        """The permissions, none if it failed."""
        return self.permissions or {}


@dataclass(frozen=True, slots=True)
class Combined:
    """What a service's providers say together; `text` is it as JSON, None for a denial."""

    result: str
    text: str | None
    granted: frozenset[str] = frozenset()


class Junk(ValueError):
    """An answer that is not permissions; the message tells nothing of what it was."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One module, or the roles in the store; `ask` is None until these are known."""

    name: str
    ask: Ask | None
    takes_resource: bool
    calls: LimitedCalls

    async def answer(self, service: str, user_id: str, resource: str) -> ProviderAnswer:
        """Ask, and return within the time limit, whatever happens."""
        began = time.perf_counter()
        permissions, result, shown = None, "answered", ""
        arguments = (service, user_id, resource) if self.takes_resource else (service, user_id)
        try:
            if self.ask is None:
                raise RuntimeError("the roles are not there yet")
            said = await self.calls.call(self.ask, *arguments)
            permissions = json.loads(checked(said))
        except Exception as error:
            result, shown = _reason(error), _shown(error)
            logger.error(
                "permission_provider_failed",
                exc_info=error,
                extra={
                    "service": service,
                    "provider": self.name,
                    "reason": result,
                    "exception": type(error).__name__,
                },
            )
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        return ProviderAnswer(self.name, result, permissions, milliseconds, shown)


@dataclass(frozen=True, slots=True)
class Service:
    """A service and its providers; `rule` is how they are combined: "first", "last", "union"."""

    name: str
    rule: str
    providers: tuple[Provider, ...]

    async def ask(self, user_id: str, resource: str) -> list[ProviderAnswer]:
        """Ask all providers at the same time."""
        return await asyncio.gather(
            *(provider.answer(self.name, user_id, resource) for provider in self.providers)
        )

    def combine(self, answers: Sequence[ProviderAnswer]) -> Combined:
        """Return what the answers say together; if one failed, nothing."""
        for answer in answers:
            if answer.permissions is None:
                return Combined(answer.result, None)
        permissions = {
            name: decider.said[name]
            for name in dict.fromkeys(itertools.chain(*(answer.said for answer in answers)))
            if (decider := _decider(self.rule, answers, name))
        }
        try:
            return Combined("answered", checked(permissions), granted_names(permissions))
        except Junk:
            return Combined("junk", None)

    def decided_by(self, answers: Sequence[ProviderAnswer], permission: str) -> str:
        """Name the provider that decided about a permission, "" if none mentions it."""
        failed = [answer for answer in answers if answer.permissions is None]
        decider = failed[0] if failed else _decider(self.rule, answers, permission)
        return decider.name if decider else ""

    def with_roles(self, ask: Ask) -> "Service":
        """Return the service with this in the place of the built-in provider."""
        providers = tuple(
            replace(provider, ask=ask) if provider.name == BUILT_IN else provider
            for provider in self.providers
        )
        return replace(self, providers=providers)


def load_services(entries: Sequence[tuple[str, str]], *, timeout: float) -> list[Service]:
    """Import and check the modules; an entry is (alias, module), `timeout` is in seconds.

    Instead of a module there may be `first(a.b,c.d)`, or `last`, or `union`. A service without an
    alias has the name of its module. Raises SettingsError with the problems of all entries.
    """
    services: list[Service] = []
    problems: list[str] = []
    for alias, expression in entries:
        name = alias or expression
        if name in (service.name for service in services):
            problems.append(
                f"two modules are called {name!r}. Give one of them another alias, as in "
                "alias:module."
            )
        rule, _, listed = expression.rstrip(")").rpartition("(")
        providers = []
        for module in listed.split(","):
            try:
                providers.append(_load_provider(name, module, timeout))
            except ImportError as error:
                problems.append(f"{module}: {error}")
        services.append(Service(name, rule, tuple(providers)))
    if problems:
        raise SettingsError([f"ALLOWED_SERVICES: {problem}" for problem in problems])
    return services


def _load_provider(service: str, module: str, timeout: float) -> Provider:
    """Raise ImportError, saying what is to be mended."""
    calls = LimitedCalls(timeout)
    if module == BUILT_IN:
        if not NAME.fullmatch(service):
            raise ImportError(
                f"a service with roles cannot be called {service!r}. Give it an alias of 1 to 64 "
                "of A-Z, a-z, 0-9 and . _ @ + -"
            )
        return Provider(module, None, takes_resource=True, calls=calls)
    function: Ask | None = getattr(import_named(module), "get_permissions", None)
    if function is None:
        raise ImportError("it has no function get_permissions(service, userid).")
    if not accepts(function, "service", "userid"):
        raise ImportError(
            "get_permissions cannot be called with two arguments. Write it as "
            "get_permissions(service, userid)."
        )
    return Provider(module, function, takes_resource=_takes_resource(function), calls=calls)


def _takes_resource(function: Ask) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters)
    except ValueError:  # written in C, without a signature
        return False
    return parameters[2:3] == ["resource"] and accepts(function, "service", "userid", "resource")


def _decider(
    rule: str, answers: Sequence[ProviderAnswer], permission: str
) -> ProviderAnswer | None:
    """Return the provider whose word counts for a permission, None if none mentions it."""
    mentions = [answer for answer in answers if permission in answer.said]
    grants = [answer for answer in mentions if answer.said[permission] is True]
    if rule == "union" and grants:
        return grants[0]
    # That no role grants it here does not take it from whom another provider allows it.
    weighty = [one for one in mentions if one.name != BUILT_IN or one in grants] or mentions
    return weighty[-1 if rule == "last" else 0] if weighty else None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    return "junk" if isinstance(error, Junk) else "error"


def _shown(error: Exception) -> str:
    return str(error) if isinstance(error, Junk) else type(error).__name__


def checked(answer: object) -> str:
    """Return an answer as JSON; raises Junk for what is not permissions."""
    if not isinstance(answer, dict):
        raise Junk(f"get_permissions returned a {type(answer).__name__}, not a dict")
    try:
        text = json.dumps(answer, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise Junk("get_permissions returned what JSON cannot carry") from error
    if len(text) > MAX_ANSWER:
        raise Junk(f"get_permissions returned more than {MAX_ANSWER} bytes of JSON")
    if not _has_text_keys(answer):
        raise Junk("get_permissions returned a dict with a key that is not a str")
    return text


def _has_text_keys(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _has_text_keys(item) for key, item in value.items())
    return not isinstance(value, list | tuple) or all(_has_text_keys(item) for item in value)
