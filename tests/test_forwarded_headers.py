"""Where a request came from, and where it was going: what a proxy says, if it is trusted."""

import logging
import socket
from contextlib import closing
from pathlib import Path

import pytest
from tornado.iostream import IOStream

from tests.forms import cookies_of, open_page
from tests.service import Service, ServiceFactory
from tornado_auth.app import bind, make_http_server


class TestWhereARequestCameFrom:
    async def seen(self, service: Service, forwarded: str | None) -> str:
        """Sign in and return the address that the session was given."""
        page = await open_page(service)
        headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
        response = await page.send("/auth/login/dev", headers=headers, username="dora")
        assert response.code == 303
        sessions = await service.server.storage.sessions.find()
        for session in sessions:
            await service.server.storage.sessions.delete(session.id)
        (session,) = sessions
        return session.remote_ip

    # S129
    async def test_nobody_is_believed_who_is_not_a_trusted_proxy(
        self, make_service: ServiceFactory
    ) -> None:
        for proxies in ("", "10.0.0.0/8", "unix"):
            service = await make_service(dev=True, TORNADO_AUTH_TRUSTED_PROXIES=proxies)
            for forwarded in (None, "203.0.113.7", "127.0.0.1", "10.0.0.1, 203.0.113.7"):
                assert await self.seen(service, forwarded) == "127.0.0.1"

    # S129 S126
    @pytest.mark.parametrize(
        ("forwarded", "address"),
        [
            (None, "127.0.0.1"),
            ("", "127.0.0.1"),
            ("203.0.113.7", "203.0.113.7"),
            (" 203.0.113.7 ", "203.0.113.7"),
            # What stands on the left was written by the client.
            ("198.51.100.9, 203.0.113.7", "203.0.113.7"),
            ("127.0.0.1, 203.0.113.7", "203.0.113.7"),
            ("198.51.100.9, 203.0.113.7, 10.1.1.1", "203.0.113.7"),
            ("198.51.100.9, 203.0.113.7, 10.1.1.1, 127.0.0.2", "203.0.113.7"),
            ("10.1.1.1", "10.1.1.1"),
            ("2001:DB8::7", "2001:db8::7"),
            ("rubbish", "127.0.0.1"),
            ("203.0.113.7, rubbish", "127.0.0.1"),
            # Some proxies add the port.
            ("203.0.113.7:4711, 10.1.1.1:4711", "203.0.113.7"),
            ("[2001:DB8::7]:4711", "2001:db8::7"),
            ("[2001:DB8::7]", "2001:db8::7"),
            ("203.0.113.7:a:b", "127.0.0.1"),
            ("203.0.113.7,", "127.0.0.1"),
            ("unknown, 10.1.1.1", "10.1.1.1"),
        ],
    )
    async def test_a_trusted_proxy_is_believed_for_what_it_wrote_itself(
        self, make_service: ServiceFactory, forwarded: str | None, address: str
    ) -> None:
        service = await make_service(
            dev=True, TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8,10.0.0.0/8"
        )
        assert await self.seen(service, forwarded) == address

    # S129
    async def test_other_headers_are_never_believed(self, make_service: ServiceFactory) -> None:
        service = await make_service(dev=True, TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8")
        page = await open_page(service)
        headers = {
            "X-Real-IP": "203.0.113.7",
            "Forwarded": "for=203.0.113.7;host=evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-User": "admin",
            "X-Auth-User": "admin",
            "Remote-User": "admin",
        }
        response = await page.send("/auth/login/dev", headers=headers, username="dora")
        assert response.headers["Location"] == "/auth/account"
        (session,) = await service.server.storage.sessions.find()
        assert session.remote_ip == "127.0.0.1"
        answer = await service.json("/auth/check?next=/x", headers=headers)
        assert answer["authenticated"] is False
        assert answer["providers"]["local"]["url"].startswith(service.url)
        assert "Strict-Transport-Security" not in response.headers
        assert "tornado_auth" in cookies_of(response)

    # S100 S129
    @pytest.mark.parametrize(
        ("original", "offered"),
        [
            ("/wiki/a%20b?c=d&e=%2F", "/wiki/a%20b?c=d&amp;e=%2F"),
            ("//evil.example/", ""),
            ("/%2f/evil.example", ""),
            ("/\\evil.example", ""),
            ("https://evil.example/", ""),
            ("https://app.example/", ""),
            ("javascript:alert(1)", ""),
            ("/a\tb", ""),
            ("/" + "x" * 3000, ""),
        ],
    )
    async def test_the_page_that_a_proxy_guards_is_where_one_returns_to(
        self, make_service: ServiceFactory, original: str, offered: str
    ) -> None:
        for proxies in ("127.0.0.0/8", ""):
            service = await make_service(
                TORNADO_AUTH_TRUSTED_PROXIES=proxies,
                TORNADO_AUTH_ALLOWED_NEXT="https://app.example=query",
            )
            response = await service.fetch("/auth/login", headers={"X-Original-URI": original})
            assert response.code == 200
            url = f"{service.url}{offered}" if offered and proxies else ""
            assert f'name="next" value="{url}"' in response.body.decode()

    async def test_next_goes_before_what_the_proxy_says(self, make_service: ServiceFactory) -> None:
        service = await make_service(TORNADO_AUTH_TRUSTED_PROXIES="127.0.0.0/8")
        headers = {"X-Original-URI": "/proxy"}
        response = await service.fetch("/auth/login?next=/asked", headers=headers)
        assert b'value="' + service.url.encode() + b'/asked"' in response.body


# S129
@pytest.mark.parametrize(
    ("proxies", "address"), [("unix", "203.0.113.7"), ("127.0.0.0/8", "0.0.0.0"), ("", "0.0.0.0")]
)
async def test_peers_on_a_unix_socket_are_believed_where_the_settings_say_so(
    make_service: ServiceFactory,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    proxies: str,
    address: str,
) -> None:
    service = await make_service(TORNADO_AUTH_TRUSTED_PROXIES=proxies)
    server = make_http_server(service.app, service.settings)
    server.add_sockets(bind(f"unix:{tmp_path}/socket"))
    with (
        caplog.at_level(logging.INFO, "tornado_auth.access"),
        closing(IOStream(socket.socket(socket.AF_UNIX))) as stream,
    ):
        await stream.connect(f"{tmp_path}/socket")
        await stream.write(
            b"GET /auth/check HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n"
            b"Connection: close\r\n\r\n"
        )
        assert (await stream.read_until_close()).startswith(b"HTTP/1.1 200")
    server.stop()
    await server.close_all_connections()
    (record,) = [each for each in caplog.records if each.name == "tornado_auth.access"]
    assert vars(record)["remote_ip"] == address
