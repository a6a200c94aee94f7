"""Clients that register themselves: somebody with an initial access token, for tests."""

import json
from typing import Any

from tornado.httpclient import HTTPResponse

from tests.oauth2.world import World
from tests.service import Service

REGISTER = "/oauth2/register"
METADATA: dict[str, Any] = {"redirect_uris": ["https://app.example/cb"], "client_name": "The app"}


class Registrar:
    """Somebody with an initial access token."""

    def __init__(self, world: World, token: str) -> None:
        self.world = world
        self.service: Service = world.service
        self.token = token

    async def send(
        self, method: str, path: str, token: str = "", metadata: Any = None, **arguments: Any
    ) -> HTTPResponse:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if metadata is not None:
            headers["Content-Type"] = "application/json"
            body = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
            arguments["body"] = body
        return await self.service.fetch(path, method=method, headers=headers, **arguments)

    async def register(self, **changes: Any) -> HTTPResponse:
        return await self.send("POST", REGISTER, self.token, {**METADATA, **changes})

    async def registered(self, **changes: Any) -> dict[str, Any]:
        response = await self.register(**changes)
        assert response.code == 201, response.body
        return dict(json.loads(response.body))


async def make_registrar(world: World) -> Registrar:
    """Return a registrar with a good token."""
    clients = world.server.oauth2.clients
    return Registrar(world, await clients.create_initial_access_token("team", 600))


def path_of(registered: dict[str, Any]) -> str:
    return f"{REGISTER}/{registered['client_id']}"
