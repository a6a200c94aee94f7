"""What a user may do in a service, as the service's permission providers say.

Owns what happens to their answer: a few seconds in a cache, from which it is dropped as soon as
the feed tells that the user or the service's roles changed, and the explanation for operators.
What rests on roles is given again only while the feed would tell, or for a second without it.
Whatever goes wrong, the answer is "nothing". Never signs: `tokens.py` does.
"""

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tornado_auth.caches import BoundedCache
from tornado_auth.errors import StorageUnavailable
from tornado_auth.metrics import Metrics
from tornado_auth.permission_providers import BUILT_IN, Combined, ProviderAnswer, Service
from tornado_auth.revocations import HEARD_WITHIN, Revocations
from tornado_auth.role_names import PERMISSION
from tornado_auth.roles import Roles, Source

MAX_CACHED = 10_000
UNKNOWN_SERVICE = "(unknown)"

Question = tuple[str, str, str]  # service, user, resource


@dataclass(frozen=True, slots=True)
class _Asked:
    """When something was asked, and `read_at`, the same by the clock of the marks.

    Until `good_until` the answer needs no feed that would tell of changes.
    """

    at: int
    read_at: float
    good_until: float


@dataclass(frozen=True, slots=True)
class _Answer:
    combined: Combined
    asked: _Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why somebody may do something or not, for operators.

    `permissions`, `result`, `providers` and `milliseconds` are of a question asked just now;
    `result` is "answered", "timeout", "error", "junk", "unknown_service" or "unknown_resource".
    `granted` is about `permission`, None if none was named, and `decided_by` the provider whose
    word that is, "" if none mentions it. `sources` are the roles that count
    here. `cached` is what this process would answer without asking, `cached_age` how many seconds
    old that is; None if it would ask.
    """

    service: str
    user_id: str
    permission: str
    resource: str
    granted: bool | None
    decided_by: str
    permissions: dict[str, Any]
    result: str
    providers: list[ProviderAnswer]
    sources: list[Source]
    cached: dict[str, Any] | None
    cached_age: int | None
    milliseconds: float


class Permissions:
    """Ask permission providers; `cache_seconds` is how long an answer may be given again.

    Answers are cached per service, user and resource, and those who ask for the same at the same
    time wait for one call. Denials are never cached. `on_failure` is told the service and the
    result of each call that failed.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        roles: Roles,
        revocations: Revocations,
        cache_seconds: int,
        metrics: Metrics,
        now: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        on_failure: Callable[[str, str], None] = lambda service, result: None,
    ) -> None:
        async def ask_roles(service: str, user_id: str, resource: str) -> dict[str, bool]:
            return await roles.permissions_of(service, user_id, resource=resource)

        self._services = {service.name: service.with_roles(ask_roles) for service in services}
        self._resting_on_roles = frozenset(
            service.name
            for service in services
            if any(provider.name == BUILT_IN for provider in service.providers)
        )
        self._roles = roles
        self._revocations = revocations
        self._cache_seconds = cache_seconds
        self._metrics = metrics
        self._now = now
        self._monotonic = monotonic
        self._on_failure = on_failure
        self._cache: BoundedCache[Question, _Answer] = BoundedCache(MAX_CACHED)
        self._asking: dict[Question, tuple[_Asked, asyncio.Task[_Answer]]] = {}
        self._tasks: set[asyncio.Task[_Answer]] = set()

    async def ask(self, service: str, user_id: str, *, resource: str = "") -> dict[str, Any] | None:
        """Return what the user may do in the service, or None: denied.

        None stands for a service that nobody allowed, a resource that cannot be one, and for a
        provider that raised, ran out of time or returned junk. The dict is the caller's to keep.
        """
        if problem := self._problem(service, resource):
            known = service in self._services
            self._count(service if known else UNKNOWN_SERVICE, problem)
            return None
        question = (service, user_id, resource)
        answer = self._cached(question)
        if answer is not None:
            combined, result = answer.combined, "cached"
        else:
            combined = await self._fresh(question)
            result = combined.result
        self._count(service, result)
        return None if combined.text is None else json.loads(combined.text)

    def recall(self, service: str, user_id: str, *, resource: str = "") -> frozenset[str] | None:
        """Return what is granted if it was answered just now; None stands for: ask."""
        answer = self._cached((service, user_id, resource))
        if answer is None:
            return None
        self._count(service, "cached")
        return answer.combined.granted

    async def explain(
        self, service: str, user_id: str, *, permission: str = "", resource: str = ""
    ) -> Explanation:
        """Ask anew, and tell what each provider said, which roles count, and what is cached."""
        began = time.perf_counter()
        providers: list[ProviderAnswer] = []
        combined, decided_by = Combined(self._problem(service, resource), None), ""
        if not combined.result:
            known = self._services[service]
            providers = await known.ask(user_id, resource)
            combined = known.combine(providers)
            decided_by = known.decided_by(providers, permission) if permission else ""
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        cached = self._cached((service, user_id, resource))
        return Explanation(
            service=service,
            user_id=user_id,
            permission=permission,
            resource=resource,
            granted=permission in combined.granted if permission else None,
            decided_by=decided_by,
            permissions=_dict_of(combined) or {},
            result=combined.result,
            providers=providers,
            sources=await self._sources(service, user_id, permission, resource),
            cached=_dict_of(cached.combined) if cached else None,
            cached_age=self._now() - cached.asked.at if cached else None,
            milliseconds=milliseconds,
        )

    async def close(self) -> None:
        """Deny whoever still waits, and end the calls that can be ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(
            *(
                provider.calls.close()
                for service in self._services.values()
                for provider in service.providers
            )
        )

    def _problem(self, service: str, resource: str) -> str:
        """Return why there is nothing to ask, "" if there is."""
        if service not in self._services:
            return "unknown_service"
        return "unknown_resource" if resource and not PERMISSION.fullmatch(resource) else ""

    def _count(self, service: str, result: str) -> None:
        self._metrics.permission_answers.labels(service, result).inc()

    def _cached(self, question: Question) -> _Answer | None:
        answer = self._cache.get(question)
        if answer is None or not 0 <= self._now() - answer.asked.at < self._cache_seconds:
            return None
        return answer if self._stands(question, answer.asked) else None

    def _stands(self, question: Question, asked: _Asked) -> bool:
        """Tell whether nothing is known to have changed since, and a change would be known."""
        service, user_id, _ = question
        revocations, read_at = self._revocations, asked.read_at
        if revocations.has_changed(user_id, read_at):
            return False
        if revocations.has_service_changed(service, read_at):
            return False
        return revocations.is_certain(read_at) or self._monotonic() < asked.good_until

    def _ask_now(self, service: str) -> _Asked:
        read_at = self._monotonic()
        good_until = read_at + HEARD_WITHIN
        if service not in self._resting_on_roles:
            good_until = float("inf")
        elif self._revocations.is_certain(read_at):
            # It may rest on what is remembered of groups, which is good only with the feed.
            good_until = read_at
        return _Asked(self._now(), read_at, good_until)

    async def _fresh(self, question: Question) -> Combined:
        asked, task = self._asking.get(question) or (None, None)
        if asked is None or task is None or not self._stands(question, asked):
            asked = self._ask_now(question[0])
            task = asyncio.create_task(self._call(question, asked))
            self._asking[question] = asked, task
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._called, question))
        # `wait` does not hand the cancellation of one caller on to the task that others await.
        await asyncio.wait({task})
        return Combined("closed", None) if task.cancelled() else task.result().combined

    def _called(self, question: Question, task: asyncio.Task[_Answer]) -> None:
        self._tasks.discard(task)
        if self._asking.get(question, (None, None))[1] is not task:
            return  # something changed meanwhile: those who wait get this, later ones do not
        del self._asking[question]
        if not task.cancelled() and (answer := task.result()).combined.text is not None:
            self._cache.put(question, answer)

    async def _call(self, question: Question, asked: _Asked) -> _Answer:
        service, user_id, resource = question
        known = self._services[service]
        combined = known.combine(await known.ask(user_id, resource))
        if combined.text is None:
            self._on_failure(service, combined.result)
        return _Answer(combined, asked)

    async def _sources(
        self, service: str, user_id: str, permission: str, resource: str
    ) -> list[Source]:
        sources: list[Source] = []
        with contextlib.suppress(StorageUnavailable):  # then the provider's answer says so
            sources = await self._roles.sources_of(service, user_id, resource=resource)
        return [source for source in sources if permission in ("", source.permission)]


def _dict_of(combined: Combined) -> dict[str, Any] | None:
    return None if combined.text is None else json.loads(combined.text)
