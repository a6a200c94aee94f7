"""The service as it is deployed: a proxy in front, an application behind, somebody signed in."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.tcpclient import TCPClient
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tests.caddy import Caddy
from tests.nginx import Nginx
from tests.service import Service

PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
IDENTITY_HEADERS = ("X-Auth-User", "X-Auth-Username", "X-Auth-Email", "X-Auth-Permissions")
# What no client may say about itself.
SPOOFED = (
    *IDENTITY_HEADERS,
    *("X-Auth-Reason", "Remote-User", "Remote-Email", "Remote-Groups", "X-Remote-User"),
    *("X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups"),
    *("X-Forwarded-Preferred-Username", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Real-IP", "Forwarded"),
    *("X_Auth_User", "Remote_User", "x-auth-user", "X-AUTH-PERMISSIONS"),
)
# Ways to write addresses that somebody may read in another way.
SPELLINGS = (
    *("/x", "//x", "/./x", "/%2e/x", "/x/", "/x;a=b", "/x%00", "/%78", "/X", "/x?auth/"),
    *("/auth/../x", "/auth/%2e%2e/x", "/auth/..%2fx", "//auth/%2e%2e/x;y", "/x/../auth/../x"),
    *("/auth", "/auth;/check", "/Auth/check", "/x/auth/check", "/.well-known/../x"),
    *("/auth%2fcheck/../../x", "/auth\\..\\x", "/.well-known/jwks.json/../../x", "/x/%2e%2e/y"),
)


class Echo(RequestHandler):
    """Tells what arrived."""

    async def prepare(self) -> None:
        self.application.settings["seen"].append(self.request)
        self.finish(
            {
                "method": self.request.method,
                "uri": self.request.uri,
                "headers": dict(self.request.headers.get_all()),
                "size": len(self.request.body),
            }
        )


class EchoSocket(WebSocketHandler):
    """Sends back what it is sent."""

    def open(self) -> None:
        self.application.settings["seen"].append(self.request)

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message)


@dataclass
class Site:
    """A proxy with everything behind it, and a client in front."""

    proxy: Nginx | Caddy
    client: SimpleAsyncHTTPClient
    seen: list[Any] = field(default_factory=list)

    async def fetch(self, path: str, **arguments: Any) -> HTTPResponse:
        request = HTTPRequest(
            path if "://" in path else self.proxy.url + path,
            ca_certs=str(self.proxy.certificate),
            follow_redirects=False,
            **arguments,
        )
        return await self.client.fetch(request, raise_error=False)

    async def raw(self, method: str, path: str, headers: dict[str, str], *, body: str = "") -> str:
        """Send a path and a body exactly as they are and return the whole answer."""
        lines = {"Host": "localhost", "Connection": "close"} | headers
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        context = ssl.create_default_context(cafile=str(self.proxy.certificate))
        stream = await TCPClient().connect("localhost", self.proxy.port, ssl_options=context)
        try:
            await stream.write(f"{method} {path} HTTP/1.1\r\n{text}\r\n{body}".encode("latin-1"))
            return (await stream.read_until_close()).decode()
        finally:
            stream.close()


@dataclass
class Deployed:
    """The service as it is deployed, with somebody signed in."""

    site: Site
    service: Service
    user_id: str
    token: str

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"__Host-tornado_auth={self.token}"}


MakeSite = Callable[..., Site]
Deploy = Callable[..., Any]
