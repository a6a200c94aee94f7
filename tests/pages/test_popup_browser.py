"""An application that opens us in a small window of its own, and waits for it, in real Chromium."""

import pytest
from playwright.async_api import Page

from tests.browser import OpenWindow, Window
from tests.flows.journeys import Site
from tests.forms import PASSWORD, add_local_user
from tests.oauth2.world import World
from tests.pages.test_consent_browser import app_at
from tests.providers.fakes import Answer

# How applications do it: what comes back tells the window that opened it, if it still can.
COMES_BACK = b"<script>if (opener) opener.postMessage(location.pathname, '*')</script>"
LISTEN = "window.heard = []; addEventListener('message', event => heard.push(event.data))"


async def open_small(window: Window, url: str) -> Page:
    async with window.context.expect_page() as opened:
        await window.page.evaluate("url => { window.small = open(url, '', 'width=500') }", url)
    return await opened.value


@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_the_window_that_waits_hears_when_all_is_done(
    world: World, open_window: OpenWindow, site: Site, mode: str
) -> None:
    await add_local_user(world.service, "alice")
    site.answers["/callback"] = Answer(200, COMES_BACK)
    client = await app_at(world, site)
    window = await open_window()
    await window.page.goto(f"{site.url}/")
    await window.page.evaluate(LISTEN)
    query = world.request_of(client, response_mode=mode)
    small = await open_small(window, f"{world.issuer}/oauth2/authorize?{query}")
    await small.fill("#username", "alice")
    await small.fill("#password", PASSWORD)
    await small.click("#login-submit")
    await small.click("#consent-approve")
    await window.page.wait_for_function("window.heard.length > 0")
    assert await window.page.evaluate("[window.heard, small.closed]") == [["/callback"], False]
    assert window.complaints == []


async def test_no_other_page_of_ours_is_left_in_anybodys_hands(
    world: World, open_window: OpenWindow, site: Site
) -> None:
    window = await open_window()
    token = await world.service.sign_in("ann")
    cookie = {"name": "tornado_auth", "value": token, "url": world.service.url}
    await window.context.add_cookies([cookie])
    await window.page.goto(f"{site.url}/")
    for path in ("/auth/account", "/oauth2/logout", "/oauth2/device"):
        small = await open_small(window, world.issuer + path)
        await small.wait_for_selector("h1")
        assert await small.evaluate("opener") is None, path
        assert await window.page.evaluate("small.closed"), path
