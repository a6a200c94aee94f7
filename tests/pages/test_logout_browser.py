"""Signing out and connecting a device, in real Chromium, as applications send somebody to us.

The application is `site`, on 127.0.0.1: for the browser another site than ours, on localhost.
"""

import html

import pytest
from tornado.httputil import url_concat

from tests.browser import OpenWindow, Window
from tests.flows.journeys import Site
from tests.oauth2.devices import device_client, poll, start
from tests.oauth2.redeeming import tokens_for
from tests.oauth2.world import World
from tests.pages.test_browser import PROBLEMS
from tests.providers.fakes import Answer
from tornado_auth.models import Session

everywhere = pytest.mark.parametrize(
    ("scripts", "width"), [(True, 1280), (False, 390)], ids=["scripts-1280", "no-scripts-390"]
)


async def be_signed_in(window: Window, world: World) -> Session:
    session = await world.service.session("ann")
    token = await world.server.sessions.token(session)
    cookie = {"name": "tornado_auth", "value": token, "url": world.issuer}
    await window.context.add_cookies([{**cookie, "sameSite": "Lax", "httpOnly": True}])
    return session


# S086 S122
@everywhere
async def test_a_yes_may_end_at_an_application_that_sends_the_browser_on(
    world: World, open_window: OpenWindow, site: Site, scripts: bool, width: int
) -> None:
    elsewhere = Site()
    site.answers["/bye"] = Answer(302, b"", {"Location": f"{elsewhere.url}/inside"})
    client = await world.client(post_logout_redirect_uris=(f"{site.url}/bye",))
    window = await open_window(scripts=scripts, width=width)
    session = await be_signed_in(window, world)
    parameters = {"client_id": client.id, "post_logout_redirect_uri": f"{site.url}/bye"}
    address = url_concat(f"{world.issuer}/oauth2/logout", parameters)

    await window.page.goto(address)
    assert await window.text("#logout-title") == "Sign out"
    assert await window.page.evaluate(PROBLEMS) == []
    await window.page.click("#logout-cancel")
    assert window.page.url == f"{world.issuer}/auth/account"

    await window.page.goto(address)
    await window.page.click("#logout-confirm")
    await window.page.wait_for_url(f"{elsewhere.url}/inside")
    assert await world.storage.sessions.get(session.id) is None
    assert await window.cookie("tornado_auth") == {}
    assert window.complaints == []
    await elsewhere.stop()


# S086
async def test_a_form_of_an_application_signs_out_here_though_it_brings_no_cookie(
    world: World, open_window: OpenWindow, site: Site
) -> None:
    client = await world.client(post_logout_redirect_uris=(f"{site.url}/bye",))
    window = await open_window(scripts=False)
    session = await be_signed_in(window, world)
    hint = (await tokens_for(world, client, session=session))["id_token"]
    fields = {"id_token_hint": hint, "post_logout_redirect_uri": f"{site.url}/bye", "state": "s"}
    inputs = "".join(f'<input name="{k}" value="{html.escape(v)}">' for k, v in fields.items())
    form = f'<form method="post" action="{world.issuer}/oauth2/logout">{inputs}<button>Go</button>'
    site.answers["/form"] = Answer(200, form.encode(), {"Content-Type": "text/html"})

    await window.page.goto(f"{site.url}/form")
    await window.page.click("button")
    await window.page.wait_for_url(f"{site.url}/bye?state=s")
    assert await world.storage.sessions.get(session.id) is None
    assert window.complaints == []


# S072
@everywhere
async def test_a_device_is_connected(
    world: World, open_window: OpenWindow, scripts: bool, width: int
) -> None:
    client = await device_client(world)
    codes = await start(world, client)
    window = await open_window(scripts=scripts, width=width)
    await be_signed_in(window, world)

    await window.page.goto(codes["verification_uri"])
    await window.page.fill("#user-code", codes["user_code"].replace("-", " ").lower())
    assert await window.page.evaluate(PROBLEMS) == []
    await window.page.click("#device-continue")
    assert await window.text("#device-code") == codes["user_code"]
    assert await window.page.evaluate(PROBLEMS) == []
    await window.page.click("#device-approve")
    assert "You can close this page" in await window.text("#device-approved")
    assert await window.page.evaluate(PROBLEMS) == []
    assert (await poll(world, client, codes)).code == 200
    assert window.complaints == []
