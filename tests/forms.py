"""Our own pages' forms, sent as a browser sends them: with the cookie and the token of the page.

A step below `tests.browserless`: each cookie, header and field is what the test says.
"""

import re
from dataclasses import dataclass
from http.cookies import Morsel, SimpleCookie

from tornado.httpclient import HTTPResponse

from tests.service import Service
from tornado_auth.models import Password

PASSWORD = "correct horse battery staple"
_hashes: list[str] = []  # of PASSWORD, made once: it takes a while
_TOKEN = re.compile(r'name="_xsrf" value="([^"]+)"')


def cookies_of(response: HTTPResponse) -> dict[str, Morsel[str]]:
    """Return the cookies that an answer sets or clears, with their attributes."""
    jar: SimpleCookie = SimpleCookie()
    for line in response.headers.get_list("Set-Cookie"):
        jar.load(line)
    return dict(jar)


@dataclass(frozen=True)
class Page:
    """A page that somebody has open: what its forms prove themselves with."""

    service: Service
    cookies: dict[str, str]
    token: str

    async def send(
        self, path: str, *, headers: dict[str, str] | None = None, **fields: str
    ) -> HTTPResponse:
        """Send a form of this page."""
        return await self.service.fetch(
            path, cookies=self.cookies, headers=headers, form={"_xsrf": self.token, **fields}
        )


async def open_page(service: Service, path: str = "/auth/login", **cookies: str) -> Page:
    """Open a page that has a form."""
    response = await service.fetch(path, cookies=cookies)
    token = _TOKEN.search(response.body.decode())
    assert token, response.body
    received = {name: morsel.value for name, morsel in cookies_of(response).items()}
    return Page(service, {**cookies, **received}, token[1])


async def account_page(service: Service, session_token: str) -> Page:
    """Open the account page of somebody who is signed in."""
    return await open_page(service, "/auth/account", tornado_auth=session_token)


async def add_local_user(service: Service, username: str = "lena") -> str:
    """Create somebody with the password PASSWORD and return the id."""
    server = service.server
    user = await server.accounts.create(username)
    if _hashes:
        record = Password(id=user.id, hash=_hashes[0], changed_at=server.now())
        await server.storage.passwords.insert(record)
    else:
        await server.local_accounts.set_password(user.id, PASSWORD)
        stored = await server.storage.passwords.get(user.id)
        assert stored is not None
        _hashes.append(stored.hash)
    return user.id
