"""Takes the pictures of the documents anew: `python -m tests.pages.pictures`.

The pages are those of a real service; people, addresses and sessions are made up.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Browser, Page, async_playwright

from tests.browser import ARGUMENTS, require_chromium
from tests.oauth2.world import VERIFIER, challenge_of
from tests.service import Service
from tornado_auth.logins import Visitor
from tornado_auth.models import AssertedIdentity, Session

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDTH = 900
HOUR = 3600
PORTRAIT = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">
<rect width="72" height="72" fill="#d5dfe8"/><circle cx="36" cy="29" r="12" fill="#8a5a44"/>
<path d="M12 72c0-16 10-27 24-27s24 11 24 27z" fill="#2f5d62"/></svg>"""
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
GITHUB = AssertedIdentity(
    provider="github",
    subject="583231",
    username="ann",
    name="Ann Example",
    email="ann@example.org",
    avatar_url="https://pictures.example/ann",
)
GOOGLE = AssertedIdentity(
    provider="google", subject="108973214559871236540", email="ann.example@example.com"
)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = int(datetime(2026, 9, 14, 8, 30, tzinfo=UTC).timestamp())

    def __call__(self) -> int:
        return self.now


def make_service(clock: Clock) -> Service:
    providers = ("GOOGLE_KEY", "GOOGLE_SECRET", "GITHUB_KEY", "GITHUB_SECRET")
    environ = dict.fromkeys(providers, "made-up")
    environ["TORNADO_AUTH_SCOPES"] = (
        '[{"name": "reports:read", "description": "Read your reports"}]'
    )
    return Service(environ, dev=False, now=clock)


async def sign_ann_in(service: Service, clock: Clock) -> Session:
    """Give Ann two ways to sign in and two sessions, and return the later one."""
    logins = service.server.logins
    phone = Visitor(user_agent=SAFARI, remote_ip="198.51.100.23")
    session = await logins.sign_in(GITHUB, phone)
    await service.server.accounts.choose_username(session.user_id, "ann")
    await service.server.accounts.link(session.user_id, GOOGLE)
    clock.now += 49 * HOUR + 720
    return await logins.sign_in(GOOGLE, Visitor(user_agent=FIREFOX, remote_ip="192.0.2.17"))


async def request_of_a_client(service: Service) -> str:
    """Register a client, and return the address to which it sends people."""
    callback, scope = "https://wiki.example.com/callback", "openid profile reports:read"
    registered = await service.server.oauth2.clients.register(
        {"client_name": "The wiki", "redirect_uris": [callback], "scope": scope}, by_operator=True
    )
    query = {
        "response_type": "code",
        "client_id": registered.client.id,
        "redirect_uri": callback,
        "scope": scope,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    return f"{service.url}/oauth2/authorize?{urlencode(query)}"


async def take(page: Page, url: str, name: str) -> None:
    await page.goto(url, wait_until="networkidle")
    await page.screenshot(path=IMAGES / name, full_page=True)


async def take_all(browser: Browser) -> None:
    clock = Clock()
    service = make_service(clock)
    await service.start()
    context = await browser.new_context(viewport={"width": WIDTH, "height": 600})
    await context.route(
        "https://pictures.example/**",
        lambda route: route.fulfill(body=PORTRAIT, content_type="image/svg+xml"),
    )
    page = await context.new_page()
    await take(page, f"{service.url}/auth/login", "sign-in.png")
    token = await service.server.sessions.token(await sign_ann_in(service, clock))
    await context.add_cookies([{"name": "tornado_auth", "value": token, "url": service.url}])
    await take(page, f"{service.url}/auth/account", "account.png")
    await take(page, await request_of_a_client(service), "consent.png")
    await context.close()
    await service.stop()


async def main() -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=require_chromium(), args=[a for a in ARGUMENTS if "port" not in a]
        )
        await take_all(browser)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
