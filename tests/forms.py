"""Our own pages' forms, sent as a browser sends them: with the cookie and the token of the page.

A step below `tests.browserless`: each cookie, header and field is what the test says.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import Morsel, SimpleCookie

from argon2 import PasswordHasher
from tornado.httpclient import HTTPResponse

from tests.service import Service
from tornado_auth.errors import WrongPassword
from tornado_auth.local_logins import LocalLogins
from tornado_auth.passwords import LocalAccounts

PASSWORD = "correct horse battery staple"
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
    await make_passwords_cheap(service)
    user = await service.server.accounts.create(username)
    await service.server.local_accounts.set_password(user.id, PASSWORD)
    return user.id


async def fail_to_sign_in(service: Service, **keys: str) -> None:
    """Let a wrong password count against `account`, `address` or `device`."""
    scopes = {f"login-{scope}": key for scope, key in keys.items()}
    with suppress(WrongPassword):
        async with service.server.login_throttle.attempt(scopes):
            raise WrongPassword


async def make_passwords_cheap(service: Service) -> None:
    """Let argon2 take next to no time, where it is not what the test is about."""
    server = service.server
    await server.local_accounts.close()
    server.local_accounts = LocalAccounts(
        server.storage.users,
        server.storage.passwords,
        now=server.now,
        hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1),
    )
    server.local_logins = LocalLogins(
        server.accounts,
        server.local_accounts,
        throttle=server.login_throttle,
        devices=server.known_devices,
    )
