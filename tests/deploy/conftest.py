"""The fixtures of these tests.

make_site        `make_site(service, policy=..., port=...)`: nginx between a client and an
                 application that tells what arrives; `service` is a port or an Application
deploy           `await deploy(policy, **environ)`: the real service behind it, and ann signed in
reports_service  an entry of ALLOWED_SERVICES: everybody may read and list, nobody write
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.testing import bind_unused_port
from tornado.web import Application

from tests.deploy.site import Deploy, Deployed, Echo, EchoSocket, MakeSite, Site
from tests.modules import writing_modules
from tests.nginx import EVERYBODY, Policy, free_port, running_nginx
from tests.service import ServiceFactory


@pytest.fixture
async def make_site(tmp_path: Path) -> AsyncIterator[MakeSite]:
    with ExitStack() as stack:

        def listening(app: Application) -> int:
            sock, port = bind_unused_port()
            server = HTTPServer(app)
            server.add_sockets([sock])
            stack.callback(server.stop)
            return port

        def make(service: int | Application, *, policy: Policy = EVERYBODY, port: int = 0) -> Site:
            seen: list[Any] = []
            application = Application([(r"/socket", EchoSocket), (r".*", Echo)], seen=seen)
            service_port = service if isinstance(service, int) else listening(service)
            nginx = stack.enter_context(
                running_nginx(
                    tmp_path,
                    service=f"127.0.0.1:{service_port}",
                    application=f"127.0.0.1:{listening(application)}",
                    policy=policy,
                    port=port,
                )
            )
            client = SimpleAsyncHTTPClient(force_instance=True)
            stack.callback(client.close)
            return Site(nginx, client, seen)

        yield make


@pytest.fixture
async def deploy(make_site: MakeSite, make_service: ServiceFactory) -> Deploy:
    async def deployed(policy: Policy = EVERYBODY, **environ: str) -> Deployed:
        port = free_port()
        service = await make_service(
            EXTERNAL_ADDRESS=f"https://localhost:{port}",
            TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.1",
            **environ,
        )
        site = make_site(service.port, policy=policy, port=port)
        session = await service.session("ann")
        token = await service.server.sessions.token(session)
        return Deployed(site, service, session.user_id, token)

    return deployed


@pytest.fixture
def reports_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    source = "async def get_permissions(service, userid): return {'read': True, 'list': True}"
    for make_module in writing_modules(tmp_path, monkeypatch):
        yield f"reports:{make_module('everybody_reads', source)}"
