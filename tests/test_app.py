"""Where the service listens, and whom it believes."""

import asyncio
import gc
import os
import socket
import stat
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer

from tests.issuer import private_pem
from tests.service import SECRET, Service, ServiceFactory
from tornado_auth.app import MAX_BODY_SIZE, MAX_HEADER_SIZE, bind, make_app
from tornado_auth.fast_path import Front
from tornado_auth.server import AuthServer
from tornado_auth.settings import load_settings

# Tornado leaves a socket that it could not bind to the garbage collector.
forgotten_socket = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def answer_to(service: Service, request: bytes) -> bytes:
    """Send bytes and return what comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("localhost", service.port)
    writer.write(request)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()


class TestBind:
    @pytest.mark.parametrize(
        ("address", "families"),
        [
            ("127.0.0.1:0", {socket.AF_INET}),
            ("[::1]:0", {socket.AF_INET6}),
        ],
    )
    def test_a_host_and_a_port(self, address: str, families: set[int]) -> None:
        sockets = bind(address)
        try:
            assert {sock.family for sock in sockets} == families
            assert all(sock.getsockname()[1] for sock in sockets)
        finally:
            for sock in sockets:
                sock.close()

    @forgotten_socket
    def test_a_port_in_use_is_an_error(self) -> None:
        (sock,) = bind("127.0.0.1:0")
        try:
            with pytest.raises(OSError, match="in use"):
                bind(f"127.0.0.1:{sock.getsockname()[1]}")
        finally:
            sock.close()
        gc.collect()

    def test_a_unix_socket_is_for_its_owner_and_group(self, tmp_path: Path) -> None:
        path = tmp_path / "auth.sock"
        (sock,) = bind(f"unix:{path}")
        sock.close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    def test_a_socket_file_that_nobody_listens_on_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "auth.sock"
        for _ in range(2):
            (sock,) = bind(f"unix:{path}")
            sock.close()
        assert path.exists()

    @forgotten_socket
    def test_any_other_file_is_not(self, tmp_path: Path) -> None:
        path = tmp_path / "auth.sock"
        path.write_text("precious")
        with pytest.raises(ValueError, match="not a socket"):
            bind(f"unix:{path}")
        assert path.read_text() == "precious"
        gc.collect()

    def test_a_relative_path_is_one_from_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (sock,) = bind("unix:auth.sock")
        sock.close()
        assert os.listdir(tmp_path) == ["auth.sock"]


class TestTrust:
    # S129
    @pytest.mark.parametrize(
        ("proxies", "trusted", "strangers"),
        [
            ("", [], ["127.0.0.1", "::1", "0.0.0.0", ""]),
            ("10.0.0.0/8", ["10.1.2.3"], ["127.0.0.1", "11.0.0.1", "::ffff:10.1.2.3", "0.0.0.0"]),
            ("127.0.0.1 fd00::/8", ["127.0.0.1", "fd00::1"], ["127.0.0.2", "fe80::1", "nonsense"]),
            ("unix", ["0.0.0.0"], ["127.0.0.1", ""]),
            ("unix 127.0.0.1", ["0.0.0.0", "127.0.0.1"], ["127.0.0.2"]),
        ],
    )
    def test_only_listed_proxies_are_believed(
        self, proxies: str, trusted: list[str], strangers: list[str]
    ) -> None:
        settings = load_settings(
            {
                "PRIVATE_KEY": private_pem(),
                "TORNADO_AUTH_SECRET": SECRET,
                "DATABASE_URL": "memory://",
                "TORNADO_AUTH_TRUSTED_PROXIES": proxies,
            }
        )
        is_trusted = make_app(AuthServer(settings)).settings["is_trusted_proxy"]
        assert [address for address in trusted + strangers if is_trusted(address)] == trusted


class TestListener:
    async def test_the_fast_path_can_be_switched_off(self, make_service: ServiceFactory) -> None:
        for value, is_fast in (("on", True), ("off", False)):
            service = await make_service(TORNADO_AUTH_FAST_PATH=value)
            assert isinstance(service.listener, Front) is is_fast
            assert isinstance(service.listener, HTTPServer) is not is_fast
            assert (await service.fetch("/auth/check")).code == 200

    async def test_it_is_on_unless_somebody_says_otherwise(self, service: Service) -> None:
        assert isinstance(service.listener, Front)


class TestLimits:
    # S136
    @pytest.mark.parametrize(("more", "is_read"), [(0, True), (1, False)])
    async def test_a_body_has_a_limit(self, service: Service, more: int, is_read: bool) -> None:
        body = b"code=".ljust(MAX_BODY_SIZE + more, b"x")
        head = (
            "POST /auth/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        # One that is too long is refused by what its head says.
        answer = await answer_to(service, head.encode() + (body if is_read else b""))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert (b"invalid_grant" in answer) is is_read

    # S136
    @pytest.mark.parametrize(("size", "answered"), [(8000, b"HTTP/1.1 200 "), (17_000, b"")])
    async def test_headers_have_a_limit(self, service: Service, size: int, answered: bytes) -> None:
        assert 8000 < MAX_HEADER_SIZE < 17_000
        long = "x" * size
        head = f"GET /auth/check HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {long}"
        answer = await answer_to(service, f"{head}\r\n\r\n".encode())
        assert answer[:13] == answered


async def test_what_is_nowhere_is_a_page_that_says_so(service: Service) -> None:
    for method, body in (("GET", None), ("POST", "")):
        response = await service.fetch("/auth/nowhere", method=method, body=body)
        assert response.code == 404
        assert b"not_found" in response.body


async def test_the_operators_port_has_no_page_for_people(service: Service) -> None:
    for path in ("/auth/check", "/auth/login", "/"):
        assert (await service.fetch(service.ops_url + path)).code == 404
    for path in ("/metrics", "/health/live", "/health/ready"):
        assert (await service.fetch(path)).code == 404
        assert (await service.fetch(service.ops_url + path)).code == 200
