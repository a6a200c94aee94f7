"""Permissions and roles over a store in memory, without a service around them."""

import asyncio
import time
from collections.abc import Callable, Sequence

from tornado_auth.metrics import Metrics
from tornado_auth.permission_providers import load_services
from tornado_auth.permissions import Permissions
from tornado_auth.revocations import Revocations
from tornado_auth.roles import Roles
from tornado_auth.storage import Storage
from tornado_auth.storage.memory import MemoryBackend

Load = Callable[..., Permissions]


class PermissionsWorld:
    """One process: `roles` and what is left in its `storage`; `load` makes its `permissions`."""

    def __init__(
        self,
        clock: Callable[[], int],
        *,
        storage: Storage | None = None,
        metrics: Metrics | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.monotonic = monotonic
        self.storage = storage or Storage(MemoryBackend(), clock)
        self.metrics = metrics or Metrics()
        self.revocations = Revocations(
            self.storage.revocations,
            keep_for=600,
            metrics=self.metrics,
            now=clock,
            monotonic=monotonic,
        )
        self.roles = Roles(
            self.storage.roles,
            self.storage.groups,
            self.storage.memberships,
            self.storage.assignments,
            self.storage.group_mappings,
            revocations=self.revocations,
            now=clock,
            cache_seconds=60,
            monotonic=monotonic,
        )

    def load(
        self, entries: Sequence[tuple[str, str]], *, timeout: float = 5, cache_seconds: int = 5
    ) -> Permissions:
        return Permissions(
            load_services(entries, timeout=timeout),
            roles=self.roles,
            revocations=self.revocations,
            cache_seconds=cache_seconds,
            metrics=self.metrics,
            now=self.clock,
            monotonic=self.monotonic,
        )

    async def hear(self) -> None:
        """Follow the marks of other processes until those that are there now are heard."""
        await self.revocations.start()
        async with asyncio.timeout(5):
            while self.revocations.as_of < 0:  # noqa: ASYNC110 - a test may poll
                await asyncio.sleep(0.001)
