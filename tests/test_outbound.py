"""Calls to addresses that clients name: what is never called, and what of an answer counts."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import DefaultLoopResolver
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.nginx import write_certificate
from tornado_auth.errors import CallFailed, SettingsError
from tornado_auth.outbound import MAX_BODY, Outbound, _PublicResolver

PUBLIC = (socket.AF_INET, ("93.184.216.34", 443))
PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "192.88.99.1",
    "::7f00:1",
    "::ffff:0:7f00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:5db8:d822::80ff:fffe",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:c058:6301::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "4000::1",
    "fec0::1",
]


class FarSide(RequestHandler):
    """Answers as its path says, and writes down what it was asked."""

    async def get(self, name: str) -> None:
        self.application.settings["asked"].append(self.request)
        if name == "redirect":
            self.redirect("/keys")
        elif name == "large":
            self.write(b"x" * (MAX_BODY + 1))
        elif name == "slow":
            await asyncio.sleep(5)
        elif name == "error":
            self.set_status(500)
        else:
            self.write(b"the keys")

    post = get


class Listener:
    """A far side at a port of the loopback address."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Any] = []
        self.app = Application([(r"/(.*)", FarSide)], asked=self.asked)
        self.app.settings["log_function"] = lambda handler: None
        self.server = HTTPServer(self.app, ssl_options=tls)
        listening, self.port = bind_unused_port()
        self.server.add_socket(listening)
        self.host = f"127.0.0.1:{self.port}"


@pytest.fixture
async def far_side() -> AsyncIterator[Listener]:
    listener = Listener()
    yield listener
    listener.server.stop()
    await listener.server.close_all_connections()


@pytest.fixture
async def outbound(far_side: Listener) -> AsyncIterator[Outbound]:
    outbound = Outbound([far_side.host], timeout=0.5)
    yield outbound
    outbound.close()


async def test_what_is_listed_is_called(outbound: Outbound, far_side: Listener) -> None:
    assert await outbound.get(f"http://{far_side.host}/keys") == b"the keys"
    status = await outbound.post_form(f"http://{far_side.host}/out", {"logout_token": "a b&c"})
    assert status == 200
    assert far_side.asked[-1].body == b"logout_token=a+b%26c"
    assert "tornado_auth" in far_side.asked[-1].headers["User-Agent"]


async def test_a_name_on_the_list_may_lead_anywhere(far_side: Listener) -> None:
    outbound = Outbound([f"LocalHost:{far_side.port}"], timeout=0.5)
    assert await outbound.get(f"http://localhost:{far_side.port}/keys") == b"the keys"
    outbound.close()


@pytest.mark.parametrize("name", ["redirect", "large", "slow", "error"])
async def test_all_but_a_plain_answer_is_a_failure(
    outbound: Outbound, far_side: Listener, name: str
) -> None:
    with pytest.raises(CallFailed):
        await outbound.get(f"http://{far_side.host}/{name}")
    assert [request.path for request in far_side.asked] == [f"/{name}"]


async def test_a_form_is_not_sent_on(outbound: Outbound, far_side: Listener) -> None:
    assert await outbound.post_form(f"http://{far_side.host}/redirect", {}) == 302
    assert await outbound.post_form(f"http://{far_side.host}/error", {}) == 500
    assert len(far_side.asked) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example/",
        "http://127.0.0.1:1/",
        "ftp://app.example/",
        "file:///etc/passwd",
        "gopher://app.example/",
        "https://user@app.example/",
        "https://",
        "https://app.example:x/",
        "https://app.example:99999/",
        "https://[::1/",
        "app.example",
        "",
    ],
)
async def test_only_https_is_called_at_all(outbound: Outbound, url: str) -> None:
    assert not outbound.may_call(url)
    with pytest.raises(CallFailed, match="may not be called"):
        await outbound.get(url)


@pytest.mark.parametrize("address", PRIVATE)
async def test_an_address_that_is_not_public_is_not_called(
    outbound: Outbound, far_side: Listener, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """However it is reached: as it is, behind a name, or as one of several behind a name."""
    found = (socket.AF_INET6 if ":" in address else socket.AF_INET, (address, far_side.port))
    for answer in ([found], [PUBLIC, found]):
        monkeypatch.setattr(DefaultLoopResolver, "resolve", answering(answer))
        with pytest.raises(CallFailed, match="NotPublic"):
            await outbound.get(f"https://app.example:{far_side.port}/")
        with pytest.raises(CallFailed, match="NotPublic"):
            await outbound.post_form(f"https://app.example:{far_side.port}/", {})


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822", "2002:5db8:d822::1"]
)
async def test_an_address_that_is_public_is_called(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    found = (socket.AF_INET6 if ":" in address else socket.AF_INET, (address, 443))
    monkeypatch.setattr(DefaultLoopResolver, "resolve", answering([found]))
    resolved = await _PublicResolver(frozenset()).resolve("app.example", 443)
    assert resolved == [found]


async def test_calls_wait_for_a_place(far_side: Listener) -> None:
    outbound = Outbound([far_side.host], timeout=0.5, at_once=2)
    url = f"http://{far_side.host}/slow"
    calls = asyncio.gather(*[outbound.get(url) for _ in range(5)], return_exceptions=True)
    await asyncio.sleep(0.25)
    assert len(far_side.asked) == 2
    assert all(isinstance(one, CallFailed) for one in await calls)
    outbound.close()


async def test_a_literal_address_is_looked_at_too(far_side: Listener) -> None:
    outbound = Outbound([], timeout=0.5)
    for host in ("127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f.1"):
        with pytest.raises(CallFailed, match="NotPublic"):
            await outbound.get(f"https://{host}:{far_side.port}/")
    outbound.close()
    assert far_side.asked == []


async def test_a_public_address_is_called(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as the connection, which the very address that was looked at gets."""
    asked = []

    def connect(self: Any, address: Any, *arguments: Any, **keywords: Any) -> Any:
        asked.append(address)
        self.close()
        raise OSError("no network here")

    monkeypatch.setattr(DefaultLoopResolver, "resolve", answering([PUBLIC]))
    monkeypatch.setattr("tornado.iostream.IOStream.connect", connect)
    with pytest.raises(CallFailed):
        await outbound.get("https://app.example/jwks")
    assert asked == [PUBLIC[1]]


def answering(addresses: list[Any]) -> Any:
    async def resolve(self: Any, host: str, port: int, family: Any = None) -> list[Any]:
        return addresses

    return resolve


async def test_certificates_are_checked_and_can_be_vouched_for(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)  # for localhost
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    far_side = Listener(tls)
    url = f"https://localhost:{far_side.port}/keys"
    allowed = [f"localhost:{far_side.port}", far_side.host]
    strict = Outbound(allowed, timeout=2)
    with pytest.raises(CallFailed, match="SSL"):
        await strict.get(url)
    vouched_for = Outbound(allowed, str(certificate), timeout=2)
    assert await vouched_for.get(url) == b"the keys"
    with pytest.raises(CallFailed, match="SSL"):  # it is not the certificate of that address
        await vouched_for.get(f"https://{far_side.host}/keys")
    strict.close()
    vouched_for.close()
    far_side.server.stop()
    await far_side.server.close_all_connections()


def test_certificates_that_cannot_be_read_are_a_mistake_in_the_settings(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(SettingsError, match="TORNADO_AUTH_FETCH_CA_FILE"):
            Outbound([], str(tmp_path / name))


def test_nothing_is_opened_until_it_is_needed() -> None:
    Outbound([]).close()
