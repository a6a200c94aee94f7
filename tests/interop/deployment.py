"""The whole deployment: the real service behind the shipped nginx.conf, with https.

`deployment` is a fixture: once on SQLite with RS256, once on MongoDB with ES256 and DPoP nonces.
Clients trust `ca_file` and nothing else, and each of their own checks is on.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.browserless import Browser, Form
from tests.nginx import Nginx
from tests.service import Service

CALLBACK = "https://app.example/callback"
SIGNED_OUT = "https://app.example/signed-out"
RESOURCE = "https://reports.example/api"
SCOPE = "openid profile email address phone offline_access reports:read"
USERNAME, PASSWORD = "alice", "correct horse battery"
CLAIMS = {
    "given_name": "Alice",
    "family_name": "Example",
    "address": {"locality": "Oslo", "country": "Norway"},
    "phone_number": "+47 5550100",
    "phone_number_verified": True,
}
# What a person is asked on our pages: the button that says yes, and the one that says no.
QUESTIONS = (
    ("consent-approve", "consent-deny"),
    ("device-continue", "device-continue"),  # only goes on: the code is filled in
    ("device-approve", "device-deny"),
    ("logout-confirm", "logout-cancel"),
)
MAX_PAGES = 8


@dataclass(frozen=True)
class Arrival:
    """Where a browser ended: an address, what was posted to it, and what it shows."""

    url: str
    form: dict[str, str] | None = None
    text: str = ""


class Visitor:
    """Somebody with a browser who signs in as alice when asked, and answers the questions."""

    def __init__(self, certificate: Path) -> None:
        self.browser = Browser(stop_at=(CALLBACK, SIGNED_OUT), ca_certs=str(certificate))

    async def visit(self, url: str, *, says_no: bool = False) -> Arrival:
        """Go to an address and on, until there is nothing more to be answered."""
        await self.browser.get(url)
        for _ in range(MAX_PAGES):
            if self.browser.url.startswith(self.browser.stop_at):
                return Arrival(self.browser.url)
            if form := self._posted_to_a_client():
                return Arrival(form.action, form.fields)
            if not await self._answer(says_no=says_no):
                return Arrival(self.browser.url, text=self.browser.text)
        raise AssertionError(f"no end of questions: {self.browser.history}")

    def _posted_to_a_client(self) -> Form | None:
        found = (form for form in self.browser.forms if form.action.startswith(CALLBACK))
        return next(found, None)

    async def _answer(self, *, says_no: bool) -> bool:
        if any(form.id == "login-form" for form in self.browser.forms):
            await self.browser.submit("login-form", username=USERNAME, password=PASSWORD)
            return True
        for yes, no in QUESTIONS:
            if self.browser.form_of(yes):
                await self.browser.press(no if says_no else yes)
                return True
        return False


@dataclass
class Deployment:
    """A service with one user, alice, and what clients have to know of it."""

    service: Service
    nginx: Nginx
    visitors: dict[str, Visitor] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return self.service.settings.issuer

    @property
    def ca_file(self) -> str:
        return str(self.nginx.certificate)

    def visitor(self, name: str = "alice") -> Visitor:
        """Return whoever has the browser of this name; each has cookies of its own."""
        return self.visitors.setdefault(name, Visitor(self.nginx.certificate))

    async def register(self, *, by_operator: dict[str, Any] | None = None, **metadata: Any) -> Any:
        """Register a client as an operator does; return its metadata, with the secret if any."""
        clients = self.service.server.oauth2.clients
        asked = {
            "client_name": "The application",
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": [SIGNED_OUT],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": SCOPE,
            **metadata,
        }
        registered = await clients.register(asked, by_operator=True, **(by_operator or {}))
        known = json.loads(json.dumps(clients.metadata_of(registered.client)))
        return known | ({"client_secret": registered.secret} if registered.secret else {})

    async def let_alice_in(self) -> None:
        """Make the user, with every kind of claim, whose browser is signed in already."""
        session = await self.service.session(USERNAME)
        await self.service.server.oauth2.user_claims.set(session.user_id, CLAIMS)
        token = await self.service.server.sessions.token(session)
        cookie = f"__Host-tornado_auth={token}; Path=/; Secure; HttpOnly"
        self.visitor().browser.keep_cookie(self.issuer, cookie)

    async def set_password(self) -> None:
        """Let alice sign in at other browsers, too; to make the hash takes a while."""
        server = self.service.server
        (user,) = await server.storage.users.find(username_key=USERNAME)
        await server.local_accounts.set_password(user.id, PASSWORD)

    def close(self) -> None:
        for visitor in self.visitors.values():
            visitor.browser.close()
