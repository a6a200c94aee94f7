"""An administrator, signed in by the API alone, and the calls that one makes."""

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import pytest

from tests.service import Service, ServiceFactory
from tornado_auth.models import Actor

SHELL = Actor(via="shell")


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Any


@dataclass(frozen=True)
class API:
    """The admin API, as whoever has the token."""

    service: Service
    token: str

    async def call(self, method: str, path: str, sent: object = None, **headers: str) -> Answer:
        body = None if sent is None else json.dumps(sent)
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
        if self.token:
            headers = {"Authorization": f"Bearer {self.token}", **headers}
        response = await self.service.fetch(
            f"/admin/api/{path}",
            method=method,
            body=body,
            headers=headers,
            allow_nonstandard_methods=True,
        )
        return Answer(
            response.code, json.loads(response.body) if response.body else None, response.headers
        )

    async def get(self, path: str, **query: object) -> Any:
        parameters = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
        answer = await self.call("GET", f"{path}?{parameters}" if parameters else path)
        assert answer.status == 200, answer
        return answer.body

    async def post(self, path: str, **sent: object) -> Any:
        answer = await self.call("POST", path, sent or None)
        assert answer.status in (200, 201, 204), answer
        return answer.body

    async def put(self, path: str, sent: object = None) -> Any:
        answer = await self.call("PUT", path, sent)
        assert answer.status == 200, answer
        return answer.body

    async def delete(self, path: str) -> Any:
        answer = await self.call("DELETE", path)
        assert answer.status in (200, 204), answer
        return answer.body

    async def delete_named(self, path: str, name: str) -> None:
        await self.delete(f"{path}/{quote(name, safe='')}")

    def as_holder_of(self, token: str) -> "API":
        return replace(self, token=token)


async def administrator(service: Service, name: str = "rita") -> API:
    """Sign in, spend a secret of the shell, and get an admin token."""
    secret = await service.server.administration.invite_administrator(SHELL)
    session = API(service, await service.sign_in(name))
    await session.post("first-administrator", secret=secret)
    return session.as_holder_of((await session.post("token"))["access_token"])


@pytest.fixture
async def service(make_service: ServiceFactory) -> Service:
    return await make_service(ALLOWED_SERVICES="wiki:tornado_auth.roles")


@pytest.fixture
async def api(service: Service) -> API:
    return await administrator(service)
