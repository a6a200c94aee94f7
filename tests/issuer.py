"""A real HTTP server for keys, in a thread of its own, so that blocking callers can be tested.

Also what a forger needs: `forge` signs any bytes as header and claims, however malformed.
"""

import asyncio
import base64
import functools
import json
import threading
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tornado_auth.keys import KeySet, generate_private_pem


class Issuer:
    """Answers each path with what `answers` says: (status, headers, body), else 404."""

    def __init__(self) -> None:
        self._socket, port = bind_unused_port()
        self.url = f"http://127.0.0.1:{port}"
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[str] = []
        self.delay = 0.0
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = HTTPServer(Application([(r".*", _AnswerHandler, {"issuer": self})]))
        server.add_socket(self._socket)
        self._started.set()
        await self._stop.wait()
        server.stop()
        await server.close_all_connections()

    def publish(self, keys: KeySet) -> None:
        """Answer as the service does for these keys."""
        self.answer("/.well-known/jwks.json", json.dumps(keys.jwks()).encode())
        self.answer("/auth/public-key", keys.public_pem().encode())

    def answer(
        self, path: str, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.answers[path] = (status, headers or {}, body)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


class _AnswerHandler(RequestHandler):
    def initialize(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def get(self) -> None:
        self._issuer.requests.append(self.request.path)
        await asyncio.sleep(self._issuer.delay)
        status, headers, body = self._issuer.answers.get(self.request.path, (404, {}, b"nothing"))
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.write(body)


@functools.cache
def _private_pem(algorithm: str, number: int) -> str:
    return generate_private_pem(algorithm)


def private_pem(algorithm: str = "RS256", number: int = 0) -> str:
    """A key for tests, made once a run; another `number` is another key."""
    return _private_pem(algorithm, number)


def key_set(algorithm: str = "RS256", number: int = 0, **options: Any) -> KeySet:
    """The KeySet of `private_pem`."""
    return KeySet.from_pem(private_pem(algorithm, number), algorithm=algorithm, **options)


def address_of_nobody() -> str:
    """An address where nothing listens."""
    socket, port = bind_unused_port()
    socket.close()
    return f"http://127.0.0.1:{port}"


@functools.cache
def _load(private_key_pem: str) -> Any:
    return serialization.load_pem_private_key(private_key_pem.encode(), password=None)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: Any, claims: Any, private_key_pem: str) -> str:
    """Sign by RS256 whatever is given: bytes as they are, all else as JSON."""
    parts = [
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims)
    ]
    signing_input = ".".join(map(base64url, parts))
    signature = _load(private_key_pem).sign(
        signing_input.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    return f"{signing_input}.{base64url(signature)}"
