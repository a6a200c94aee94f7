"""Templates of an application's own, in place of ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import pytest
from tornado.httpserver import HTTPServer
from tornado.template import ParseError
from tornado.testing import bind_unused_port

from tests.service import Service
from tornado_auth.app import application_settings, make_app

Serve = Callable[[Mapping[str, str]], Awaitable[str]]


@pytest.fixture
async def serve(service: Service) -> AsyncIterator[Serve]:
    """Return what serves the same service once more, with templates, and returns its address."""
    servers: list[HTTPServer] = []

    async def serve(own_templates: Mapping[str, str]) -> str:
        socket, port = bind_unused_port(address="127.0.0.1")
        servers.append(HTTPServer(make_app(service.server, own_templates=own_templates)))
        servers[-1].add_socket(socket)
        return f"http://127.0.0.1:{port}"

    yield serve
    for server in servers:
        server.stop()
        await server.close_all_connections()


async def test_each_application_in_a_process_has_templates_of_its_own(
    service: Service, serve: Serve
) -> None:
    framed = '{% extends "base.html" %}{% block content %}<p>Welcome back</p>{% end %}'
    addresses = [await serve({"login.html": framed}), service.url, await serve({})]
    addresses.append(await serve({"base.html": "<title>Ours</title>{% block content %}{% end %}"}))
    pages = [(await service.fetch(f"{address}/auth/login")).body for address in addresses]
    assert b"Welcome back" in pages[0]
    assert b"<footer>" in pages[0]
    assert b'id="login-form"' not in pages[0]
    assert pages[1].count(b'id="login-form"') == pages[2].count(b'id="login-form"') == 1
    assert pages[3].startswith(b"<title>Ours</title>")
    assert b'id="login-form"' in pages[3]


async def test_what_a_page_shows_is_escaped_in_own_templates_too(
    service: Service, serve: Serve
) -> None:
    address = await serve({"login.html": "<p>{{ username }}</p>"})
    page = await service.fetch(f"{address}/auth/login?login_hint=%3Cb%3E")
    assert page.body == b"<p>&lt;b&gt;</p>"


async def test_a_template_with_a_mistake_is_told_at_the_start(service: Service) -> None:
    with pytest.raises(ParseError, match=r"login\.html:1"):
        await asyncio.to_thread(application_settings, service.server, {"login.html": "{% if %}"})
