"""Clients' servers, which are told when a session ends, and may take their time for it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.oauth2.world import World
from tornado_auth.models import Client


class RelyingParties:
    """Clients' servers: each path is one, and answers with the statuses that it is given."""

    def __init__(self) -> None:
        socket, self.port = bind_unused_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.statuses: dict[str, list[int]] = {}
        self.delay = 0.0
        self.tokens: dict[str, list[str]] = {}
        self.arrivals = asyncio.Queue[str]()
        self._server = HTTPServer(Application([(r".*", _Handler, {"parties": self})]))
        self._server.add_socket(socket)

    async def stop(self) -> None:
        self._server.stop()
        await self._server.close_all_connections()


class _Handler(RequestHandler):
    def initialize(self, parties: RelyingParties) -> None:
        self._parties = parties

    async def post(self) -> None:
        path = self.request.path
        self._parties.tokens.setdefault(path, []).append(self.get_body_argument("logout_token"))
        self._parties.arrivals.put_nowait(path)
        await asyncio.sleep(self._parties.delay)
        statuses = self._parties.statuses.get(path, [200])
        self.set_status(statuses.pop(0) if len(statuses) > 1 else statuses[0])
        self.set_header("Location", "/elsewhere")


@pytest.fixture
async def parties() -> AsyncIterator[RelyingParties]:
    parties = RelyingParties()
    yield parties
    await parties.stop()


async def told_client(world: World, parties: RelyingParties, path: str, **fields: Any) -> Client:
    """Make a client whose server is told there."""
    return await world.client(backchannel_logout_uri=parties.url + path, **fields)


async def results(world: World) -> Counter[str]:
    """Return how the deliveries ended, once nothing is under way."""
    sending = world.server.oauth2.back_channel_logout
    await asyncio.gather(*sending._under_way, *sending._tidying)
    metric = world.server.metrics.backchannel_logouts
    return Counter(
        {
            sample.labels["result"]: int(sample.value)
            for family in metric.collect()
            for sample in family.samples
            if sample.name.endswith("_total") and sample.value
        }
    )
