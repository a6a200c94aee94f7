"""What the workers say on their operators' sockets.

Owns how the parent reaches them: each has a unix socket in the parent's private folder. Never waits
longer than a second for one of them, and never judges what it says.
"""

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any

from tornado.httpclient import HTTPError, HTTPResponse
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tornado_auth.supervisor.pool import Supervisor
from tornado_auth.supervisor.workers import Worker

ANSWER_WITHIN = 1.0  # seconds
AT_ONCE = 1000


class WorkersAnswers:
    """Asks all workers of a supervisor the same."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._client = SimpleAsyncHTTPClient(
            force_instance=True, resolver=_UnixSockets(supervisor), max_clients=AT_ONCE
        )

    async def get(self, path: str) -> dict[int, HTTPResponse | None]:
        """Return the answers by the workers' numbers; None from one that does not answer."""
        workers = list(self._supervisor.workers.values())
        answers = await asyncio.gather(*(self._ask(worker, path) for worker in workers))
        return {worker.number: answer for worker, answer in zip(workers, answers, strict=True)}

    async def _ask(self, worker: Worker, path: str) -> HTTPResponse | None:
        answer: Awaitable[HTTPResponse] = self._client.fetch(
            f"http://{worker.name}{path}",
            connect_timeout=ANSWER_WITHIN,
            request_timeout=ANSWER_WITHIN,
            raise_error=False,
        )
        try:
            return await answer
        except (OSError, HTTPError):
            self._supervisor.metrics.worker_silences.inc()
            return None


class _UnixSockets(Resolver):
    """Finds the socket of the worker that stands in the place of a host."""

    # A Resolver's constructor hands its arguments on to this.
    def initialize(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        return [(socket.AF_UNIX, str(self._supervisor.ops_path(host)))]
