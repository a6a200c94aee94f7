"""A whole service inside the test's loop, reached over real HTTP.

`make_service` is a fixture: `service = await make_service(ALLOWED_SERVICES="files:my_module")`.
Keyword arguments are environment variables; `dev=True` switches the development login on,
`now=clock` gives it a clock, and a TORNADO_AUTH_LISTEN of `unix:/path` one more address. Every
service made is stopped at the end of the test.
"""

import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.netutil import bind_sockets

from tests.issuer import private_pem
from tornado_auth.app import bind, make_app, make_http_server, make_listener, make_ops_app
from tornado_auth.logins import Visitor
from tornado_auth.models import AssertedIdentity, Session
from tornado_auth.server import AuthServer, clock
from tornado_auth.settings import load_settings

SECRET = secrets.token_urlsafe(48)

ServiceFactory = Callable[..., Awaitable["Service"]]


class Service:
    """A running service and the ways in which a test talks to it."""

    def __init__(self, environ: dict[str, str], *, dev: bool, now: Callable[[], int]) -> None:
        self._sockets = bind_sockets(0, "127.0.0.1")
        self.port = self._sockets[0].getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        # An RSA key takes long to load, and most tests do not care.
        algorithm = environ.get("TORNADO_AUTH_SIGNING_ALGORITHM", "ES256")
        defaults = {
            "PRIVATE_KEY": private_pem(algorithm),
            "TORNADO_AUTH_SIGNING_ALGORITHM": algorithm,
            "TORNADO_AUTH_SECRET": SECRET,
            "DATABASE_URL": "memory://",
            "TORNADO_AUTH_LISTEN": f"127.0.0.1:{self.port}",
            "EXTERNAL_ADDRESS": self.url,
        }
        self.settings = load_settings({**defaults, **environ}, dev=dev)
        self.server = AuthServer(self.settings, now=now)
        self.app = make_app(self.server)
        self.listener = make_listener(self.app, self.server)
        self._ops = make_http_server(make_ops_app(self.server), self.settings)
        self._client = AsyncHTTPClient(force_instance=True)

    async def start(self) -> None:
        await self.server.start()
        listen = self.settings.listen
        unix = bind(listen) if listen.startswith("unix:") else []
        self.listener.add_sockets([*self._sockets, *unix])
        ops_sockets = bind_sockets(0, "127.0.0.1")
        self._ops.add_sockets(ops_sockets)
        self.ops_url = f"http://localhost:{ops_sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._client.close()
        for http_server in (self.listener, self._ops):
            http_server.stop()
            await http_server.close_all_connections()
        await self.server.stop()

    async def fetch(
        self,
        path: str,
        *,
        token: str = "",
        cookies: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        **arguments: Any,
    ) -> HTTPResponse:
        """Send one request; redirects are not followed and no status raises."""
        sent = dict(headers or {})
        if token:
            sent["auth-token"] = token
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if form is not None:
            arguments |= {"method": "POST", "body": urlencode(form)}
        return await self._client.fetch(
            path if path.startswith("http") else self.url + path,
            headers=sent,
            follow_redirects=False,
            raise_error=False,
            **arguments,
        )

    async def json(self, path: str, **arguments: Any) -> Any:
        """Send one request and return the JSON of its answer."""
        return json.loads((await self.fetch(path, **arguments)).body)

    async def session(self, name: str = "ann", **attributes: Any) -> Session:
        """Sign somebody in who has proven an identity at GitHub."""
        asserted = AssertedIdentity(
            **{
                "provider": "github",
                "subject": str(sum(name.encode())),
                "username": name,
                "name": name.capitalize(),
                "email": f"{name}@example.org",
                **attributes,
            }
        )
        return await self.server.logins.sign_in(asserted, Visitor())

    async def sign_in(self, name: str = "ann", **attributes: Any) -> str:
        """Sign somebody in and return the session token."""
        return await self.server.sessions.token(await self.session(name, **attributes))


@pytest.fixture
async def make_service() -> AsyncIterator[ServiceFactory]:
    services: list[Service] = []

    async def make(*, dev: bool = False, now: Callable[[], int] = clock, **environ: str) -> Service:
        service = Service(environ, dev=dev, now=now)
        services.append(service)
        await service.start()
        return service

    yield make
    for service in services:
        await service.stop()


@pytest.fixture
async def service(make_service: ServiceFactory) -> Service:
    return await make_service()
