"""One's own API keys on the account page, in real Chromium that runs no scripts."""

from tests.browser import OpenWindow, Window
from tests.pages.test_browser import sign_in
from tests.service import ServiceFactory


async def make_key(window: Window, name: str) -> str:
    """Make a key with the keyboard alone, and return it."""
    page = window.page
    await page.focus("#new-key-summary")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await window.focused() == "key-name"
    await page.keyboard.type(name)
    await page.keyboard.press("Tab")
    assert await window.focused() == "key-scope-1"
    await page.keyboard.press("Space")
    for wanted in ("key-scope-2", "key-days"):
        await page.keyboard.press("Tab")
        assert await window.focused() == wanted
    await page.keyboard.press("End")
    await page.keyboard.press("Tab")
    assert await window.focused() == "key-submit"
    await page.keyboard.press("Enter")
    return await window.text("#new-key-text")


async def test_a_key_is_made_with_the_keyboard_seen_once_and_revoked(
    make_service: ServiceFactory, open_window: OpenWindow
) -> None:
    service = await make_service(dev=True, ALLOWED_SERVICES="files:tests.fast_path.provider")
    window = await open_window(scripts=False)
    await sign_in(window, service)
    assert await window.count("#keys") == 0
    key = await make_key(window, "nightly backup")
    assert "nightly backup" in await window.text("#new-key")
    row = await window.text("#keys > li")
    assert "nightly backup For every service" in row
    assert "no end · never used" in row
    assert await window.count("#sessions > li") == 1
    answer = await service.json("/auth/check", token=key)
    assert answer["profile"]["username"] == "ann"

    await window.page.goto(f"{service.url}/auth/account")
    assert await window.count("#new-key") == 0
    assert key not in await window.page.content()
    await window.page.click("#revoke-key-1")
    assert await window.count("#keys") == 0
    assert (await service.json("/auth/check", token=key))["authenticated"] is False
    assert window.complaints == []


async def test_it_fits_a_phone(make_service: ServiceFactory, open_window: OpenWindow) -> None:
    service = await make_service(dev=True)
    window = await open_window(scripts=False, width=390)
    await sign_in(window, service)
    page = window.page
    await page.click("#new-key-summary")
    await page.fill("#key-name", "the program that " + "copies " * 6)
    await page.check("#key-scope-1")
    await page.select_option("#key-days", "90")
    await page.click("#key-submit")
    assert "ends 20" in await window.text("#keys > li")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    for name in ("#revoke-key-1", "#new-key-summary"):
        box = await page.locator(name).bounding_box()
        assert box is not None
        assert box["height"] >= 44
    assert window.complaints == []
