"""The sign-in page and the forms on it.

Owns what a person sees who is to sign in, and who sent them. Thin: whether a sign-in holds is
decided by the server's parts. Needs no script in the browser.
"""

from contextlib import suppress
from dataclasses import dataclass

from tornado.web import HTTPError

from tornado_auth.errors import InvalidUsername, LoginError, NextNotAllowed, TooManyAttempts
from tornado_auth.known_devices import LIFETIME as DEVICE_LIFETIME
from tornado_auth.models import AssertedIdentity, Session
from tornado_auth.next_urls import NextURL
from tornado_auth.pages.shown_clients import ShownClient, shown_client
from tornado_auth.usernames import username_key
from tornado_auth.web import PageHandler, login_url, status_of


@dataclass(frozen=True, slots=True)
class ProviderLink:
    """A login provider as the sign-in page shows it."""

    name: str
    label: str
    url: str


class LoginPageHandler(PageHandler):
    """GET /auth/login: every way to sign in that is switched on."""

    opens_in_popups = True

    async def get(self) -> None:
        """Show the page, or send on who is signed in already and has somewhere to go."""
        next_url = self.requested_next()
        who = await self.who()
        if who and next_url and not self.asks_again:
            return await self.redirect_with_token(who.session, next_url)
        username = who.user.username if who else ""
        hint = self.parameter("login_hint") or (username if self.asks_again else "")
        return await self.show(next_url, username=hint, signed_in_as=username)

    def requested_next(self) -> NextURL | None:
        """Return `next`, or the page at which a trusted proxy stopped the browser."""
        if value := self.parameter("next"):
            return self.safe_next(value)
        original = self.request.headers.get("X-Original-URI", "")
        if self.from_trusted_proxy and original.startswith("/"):
            # Whoever typed such an address still gets to sign in.
            with suppress(NextNotAllowed):
                return self.safe_next(original)
        return None

    async def show(
        self,
        next_url: NextURL | None,
        *,
        error: str = "",
        username: str = "",
        signed_in_as: str = "",
    ) -> None:
        """Render the page with what was typed so far, but never a password."""
        client = await self._allow_form_to(next_url)
        settings = self.server.settings
        self.render(
            "login.html",
            providers=self._providers(next_url),
            local_action="/auth/login/local" if settings.local_accounts else "",
            dev_action="/auth/login/dev" if settings.dev else "",
            next=next_url.url if next_url else "",
            error=error,
            username=username,
            signed_in_as=signed_in_as,
            asks_again=self.asks_again,
            client=client,
        )

    async def _allow_form_to(self, next_url: NextURL | None) -> ShownClient | None:
        """Let the form end where the browser goes on to; return the client if that is one."""
        waiting = await self.waiting_client(next_url.url) if next_url else None
        if waiting is not None:
            self.allow_form_to(waiting.form_target)
            return shown_client(waiting.client)
        if next_url is not None:
            self.allow_form_to(next_url.origin)
        return None

    def _providers(self, next_url: NextURL | None) -> list[ProviderLink]:
        next = next_url.url if next_url else ""
        return [
            ProviderLink(name, provider.label, login_url(name, next, asks_again=self.asks_again))
            for name, provider in self.server.login_providers.items()
        ]


class FormLoginHandler(LoginPageHandler):
    """What signing in by a form on our own page shares."""

    provider: str

    async def get(self) -> None:
        """Show the sign-in page: this address is what callers are told to send people to."""
        self._require_enabled()
        await super().get()

    async def post(self) -> None:
        """Sign in and send the browser on, or show the form again with the reason."""
        self._require_enabled()
        next_url = self.safe_next(self.parameter("next"))
        username = self.body_parameter("username")
        try:
            asserted = await self._prove_or_count(username)
            session = await self.sign_in(asserted)
        except (LoginError, TooManyAttempts, InvalidUsername) as error:
            self.start_error(status_of(error), error)
            return await self.show(next_url, error=str(error), username=username)
        await self.remember(session)
        return await self.redirect_with_token(session, next_url)

    async def _prove_or_count(self, username: str) -> AssertedIdentity:
        try:
            return await self.prove(username)
        except (LoginError, TooManyAttempts, InvalidUsername) as error:
            await self.server.logins.refused(self.provider, error, self.visitor, username=username)
            raise

    def is_enabled(self) -> bool:
        """Tell whether the settings allow this way in."""
        raise NotImplementedError

    async def prove(self, username: str) -> AssertedIdentity:
        """Return the identity that the form proves; raises LoginError."""
        raise NotImplementedError

    async def remember(self, session: Session) -> None:
        """Leave in the browser what its next sign-in is to know; here, nothing."""

    def _require_enabled(self) -> None:
        if not self.is_enabled():
            raise HTTPError(404)


class LocalLoginHandler(FormLoginHandler):
    """POST /auth/login/local: sign in with user name and password."""

    provider = "local"

    def is_enabled(self) -> bool:
        """See FormLoginHandler."""
        return self.server.settings.local_accounts

    async def prove(self, username: str) -> AssertedIdentity:
        """Check the password; slows down whoever guesses."""
        return await self.server.local_logins.prove(
            username,
            self.body_parameter("password"),
            remote_ip=self.remote_ip,
            device=self.get_cookie(self.device_cookie) or "",
        )

    async def remember(self, session: Session) -> None:
        """Let nobody lock this person out of this browser by guessing elsewhere."""
        device = self.get_cookie(self.device_cookie) or ""
        sealed = await self.server.local_logins.remember(device, session.user_id)
        expires_at = self.server.now() + DEVICE_LIFETIME
        self.set_own_cookie(self.device_cookie, sealed, expires_at=expires_at)

    @property
    def device_cookie(self) -> str:
        """The name of the cookie that a browser keeps in which somebody has signed in."""
        return f"{self._cookie_prefix}tornado_auth_device"


class DevLoginHandler(FormLoginHandler):
    """POST /auth/login/dev: be anybody, on a machine that only its developer reaches."""

    provider = "dev"

    def is_enabled(self) -> bool:
        """See FormLoginHandler."""
        return self.server.settings.dev

    async def prove(self, username: str) -> AssertedIdentity:
        """Believe the name."""
        key = username_key(username)
        return AssertedIdentity(provider="dev", subject=key, username=username, name=username)
