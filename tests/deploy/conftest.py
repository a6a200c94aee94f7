"""The fixtures of these tests.

make_site        `make_site(service, policy=..., port=...)`: nginx between a client and an
                 application that tells what arrives; `service` is an address, a port or an
                 Application
make_caddy_site  the same with Caddy
make_any_site    once the one, once the other
deploy           `await deploy(policy, **environ)`: the real service behind nginx, and ann signed
                 in; once by TCP, once by a unix socket, and once without the fast path
deploy_caddy     the same behind Caddy, by TCP and by a unix socket
deploy_anywhere  the same by TCP, once behind nginx and once behind Caddy
reports_service  an entry of ALLOWED_SERVICES: everybody may read and list, nobody write
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.testing import bind_unused_port
from tornado.web import Application

from tests.caddy import running_caddy
from tests.deploy.site import Deploy, Deployed, Echo, EchoSocket, MakeSite, Site
from tests.modules import writing_modules
from tests.nginx import EVERYBODY, Policy, running_nginx
from tests.ports import free_port
from tests.service import ServiceFactory


def _listening(app: Application, stack: ExitStack) -> str:
    sock, port = bind_unused_port()
    server = HTTPServer(app)
    server.add_sockets([sock])
    stack.callback(server.stop)
    return f"127.0.0.1:{port}"


def _making_sites(running: Any, folder: Path, stack: ExitStack) -> MakeSite:
    def make(service: str | int | Application, **options: Any) -> Site:
        seen: list[Any] = []
        application = Application([(r"/socket", EchoSocket), (r".*", Echo)], seen=seen)
        if isinstance(service, Application):
            service = _listening(service, stack)
        proxy = stack.enter_context(
            running(
                folder,
                service=f"127.0.0.1:{service}" if isinstance(service, int) else service,
                application=_listening(application, stack),
                **options,
            )
        )
        client = SimpleAsyncHTTPClient(force_instance=True)
        stack.callback(client.close)
        return Site(proxy, client, seen)

    return make


@pytest.fixture
async def make_site(tmp_path: Path) -> AsyncIterator[MakeSite]:
    with ExitStack() as stack:
        yield _making_sites(running_nginx, tmp_path, stack)


@pytest.fixture
async def make_caddy_site(tmp_path: Path) -> AsyncIterator[MakeSite]:
    with ExitStack() as stack:
        yield _making_sites(running_caddy, tmp_path, stack)


@pytest.fixture(params=["nginx", "caddy"])
def make_any_site(
    request: pytest.FixtureRequest, make_site: MakeSite, make_caddy_site: MakeSite
) -> MakeSite:
    return make_site if request.param == "nginx" else make_caddy_site


def _deploying(make_site: MakeSite, make_service: ServiceFactory, kind: str, folder: str) -> Deploy:
    variables = {"TORNADO_AUTH_TRUSTED_PROXIES": "127.0.0.1"}
    if kind == "unix":
        variables["TORNADO_AUTH_TRUSTED_PROXIES"] = "unix"
        variables["TORNADO_AUTH_LISTEN"] = f"unix:{folder}/http.sock"
    elif kind == "without-fast-path":
        variables["TORNADO_AUTH_FAST_PATH"] = "off"

    async def deployed(
        policy: Policy = EVERYBODY, *, changes: dict[str, str] | None = None, **environ: str
    ) -> Deployed:
        port = free_port()
        service = await make_service(
            EXTERNAL_ADDRESS=f"https://localhost:{port}", **variables, **environ
        )
        address = variables.get("TORNADO_AUTH_LISTEN", service.port)
        site = make_site(address, policy=policy, port=port, changes=changes)
        session = await service.session("ann")
        token = await service.server.sessions.token(session)
        return Deployed(site, service, session.user_id, token)

    return deployed


# The path of a socket has at most 107 bytes, and that of a test's folder may have more.
@pytest.fixture
def socket_folder() -> Iterator[str]:
    with TemporaryDirectory(prefix="tornado_auth-") as folder:
        yield folder


@pytest.fixture(params=["tcp", "unix", pytest.param("without-fast-path", marks=pytest.mark.long)])
def deploy(
    request: pytest.FixtureRequest,
    make_site: MakeSite,
    make_service: ServiceFactory,
    socket_folder: str,
) -> Deploy:
    return _deploying(make_site, make_service, request.param, socket_folder)


@pytest.fixture(params=["tcp", "unix"])
def deploy_caddy(
    request: pytest.FixtureRequest,
    make_caddy_site: MakeSite,
    make_service: ServiceFactory,
    socket_folder: str,
) -> Deploy:
    return _deploying(make_caddy_site, make_service, request.param, socket_folder)


@pytest.fixture(
    params=[
        "nginx-tcp",
        "nginx-unix",
        pytest.param("nginx-without-fast-path", marks=pytest.mark.long),
        "caddy-tcp",
        "caddy-unix",
    ]
)
def deploy_everywhere(
    request: pytest.FixtureRequest,
    make_site: MakeSite,
    make_caddy_site: MakeSite,
    make_service: ServiceFactory,
    socket_folder: str,
) -> Deploy:
    proxy, _, kind = request.param.partition("-")
    make = make_site if proxy == "nginx" else make_caddy_site
    return _deploying(make, make_service, kind, socket_folder)


@pytest.fixture
def deploy_anywhere(make_any_site: MakeSite, make_service: ServiceFactory) -> Deploy:
    return _deploying(make_any_site, make_service, "tcp", "")


@pytest.fixture
def reports_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    source = "async def get_permissions(service, userid): return {'read': True, 'list': True}"
    for make_module in writing_modules(tmp_path, monkeypatch):
        yield f"reports:{make_module('everybody_reads', source)}"
