"""People who walk through the service and its login providers with a browser.

A `Person` starts where callers of the service are told to send people, at one of the addresses of
/auth/check, and fills in whatever forms come. `google_at` and its like are settings.
"""

import html
import json
import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.httpclient import HTTPResponse

from tests.browserless import Browser
from tests.providers.fakes import Fake, FakeGitHub, FakeHandler
from tests.providers.fixtures import OIDCProvider
from tests.service import Service

CALLBACK = "/auth/oauth_callback"
ATTEMPT_COOKIE = "tornado_auth_login_"

# For journeys that no signature matters to: an RSA key takes 70 ms to load.


class Site(Fake):
    """Another web site: `url` is its origin, `requests` is what browsers brought to it."""

    def __init__(self) -> None:
        super().__init__([(r"/.*", _SiteHandler)])


class _SiteHandler(FakeHandler):
    def get(self) -> None:
        self.finish("<h1>The site</h1>")


class TellingBrowser(Browser):
    """A browser that tells every server where it was before, whole, unless that page forbids it."""

    _referrer = ""

    async def _fetch(
        self, method: str, url: str, body: str | None, headers: dict[str, str] | None
    ) -> HTTPResponse:
        told = {"Referer": self._referrer} if self._referrer else {}
        response = await super()._fetch(method, url, body, {**told, **(headers or {})})
        forbidden = response.headers.get("Referrer-Policy") == "no-referrer"
        self._referrer = "" if forbidden else url
        return response


def google_at(provider: OIDCProvider, **environ: str) -> dict[str, str]:
    return {
        "GOOGLE_KEY": provider.client_id,
        "GOOGLE_SECRET": provider.client_secret,
        "TORNADO_AUTH_GOOGLE_ISSUER": provider.issuer,
        **environ,
    }


def corp_at(issuer: str, client_id: str, client_secret: str, **entry: Any) -> dict[str, str]:
    entry = {"name": "corp", "issuer": issuer, "client_id": client_id, **entry}
    return {"TORNADO_AUTH_OIDC_PROVIDERS": json.dumps([{**entry, "client_secret": client_secret}])}


def github_at(fake: FakeGitHub, **environ: str) -> dict[str, str]:
    return {
        "GITHUB_KEY": fake.client_id,
        "GITHUB_SECRET": fake.client_secret,
        "TORNADO_AUTH_GITHUB_URL": fake.url,
        "TORNADO_AUTH_GITHUB_API_URL": fake.api_url,
        **environ,
    }


class Person:
    """Somebody with one browser and this service in mind."""

    def __init__(self, service: Service, *, stop_at: tuple[str, ...] = ()) -> None:
        self.service = service
        self.browser = TellingBrowser(stop_at=stop_at)

    @property
    def token(self) -> str:
        """The session token that the browser holds, "" without one."""
        cookie = self.browser.cookie("tornado_auth")
        return cookie.value if cookie else ""

    @property
    def attempts(self) -> list[str]:
        """The names of the cookies of attempts under way."""
        return [key[2] for key in self.browser.cookies if key[2].startswith(ATTEMPT_COOKIE)]

    async def begin(self, name: str, *, next: str = "") -> None:
        """Go where /auth/check says that one signs in with this provider."""
        query = f"?{urlencode({'next': next})}" if next else ""
        answer = await self.service.json(f"/auth/check{query}")
        await self.browser.get(answer["providers"][name]["url"])

    async def approve(self, login: str) -> None:
        """Fill in the forms of a login provider until it lets the browser go."""
        provider = _origin(self.browser.url)
        for _ in range(5):
            if _origin(self.browser.url) != provider or not self.browser.forms:
                return
            wanted = {"login": login, "password": "anything"}
            fields = self.browser.forms[0].fields
            await self.browser.submit(**{k: v for k, v in wanted.items() if k in fields})
        raise AssertionError(f"still at {self.browser.url}")

    async def sign_in(self, name: str, login: str, *, next: str = "") -> None:
        """Sign in with a login provider, from beginning to end."""
        await self.begin(name, next=next)
        await self.approve(login)

    async def follow(self, link_id: str) -> None:
        """Go where a link of the page leads."""
        link = re.search(rf'id="{link_id}" href="([^"]*)"', self.browser.text)
        assert link, f"no link {link_id} at {self.browser.url}"
        await self.browser.get(html.unescape(link[1]))

    async def callback(self, name: str, login: str, *, next: str = "") -> str:
        """Sign in, but return the address of the callback instead of opening it."""
        stop_at, self.browser.stop_at = self.browser.stop_at, (self.service.url + CALLBACK,)
        await self.sign_in(name, login, next=next)
        self.browser.stop_at = stop_at
        return self.browser.url

    async def sign_in_by_form(self, form_id: str, *, next: str = "", **fields: str) -> None:
        """Sign in on our own page, by the local or the development form."""
        query = f"?{urlencode({'next': next})}" if next else ""
        await self.browser.get(f"{self.service.url}/auth/login{query}")
        await self.browser.submit(form_id, **fields)

    async def profile(self) -> dict[str, Any]:
        """Return what /auth/check tells of who is signed in."""
        answer = await self.service.json("/auth/check", token=self.token)
        assert answer["authenticated"] is True
        return dict(answer["profile"])

    async def is_signed_in(self) -> bool:
        """Tell whether the browser holds a live session."""
        return bool((await self.service.json("/auth/check", token=self.token))["authenticated"])

    def sees_account(self) -> bool:
        """Tell whether the browser shows the account page."""
        return self.browser.status == 200 and 'id="account-title"' in self.browser.text

    def sees_error(self, status: int, reason: str) -> bool:
        """Tell whether the browser shows our error page, with this status and reason code."""
        shown = f'id="error-reason">{reason}<' in self.browser.text
        return self.browser.status == status and shown


def _origin(url: str) -> str:
    return "://".join(urlsplit(url)[:2])


async def nobody_came_in(service: Service) -> bool:
    """Tell whether the store has no user, no identity and no session."""
    storage = service.server.storage
    collections = (storage.users, storage.identities, storage.sessions)
    return not any([await collection.find() for collection in collections])
