"""The service as it is deployed: nginx in front, an application behind, somebody signed in."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient
from tornado.tcpclient import TCPClient
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from tests.nginx import Nginx
from tests.service import Service


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
    """nginx with everything behind it, and a client in front."""

    nginx: Nginx
    client: SimpleAsyncHTTPClient
    seen: list[Any] = field(default_factory=list)

    async def fetch(self, path: str, **arguments: Any) -> HTTPResponse:
        request = HTTPRequest(
            path if "://" in path else self.nginx.url + path,
            ca_certs=str(self.nginx.certificate),
            follow_redirects=False,
            **arguments,
        )
        return await self.client.fetch(request, raise_error=False)

    async def raw(self, method: str, path: str, headers: dict[str, str]) -> str:
        """Send a path exactly as it is and return the whole answer."""
        lines = {"Host": "localhost", "Connection": "close"} | headers
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        context = ssl.create_default_context(cafile=str(self.nginx.certificate))
        stream = await TCPClient().connect("localhost", self.nginx.port, ssl_options=context)
        try:
            await stream.write(f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode("latin-1"))
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
